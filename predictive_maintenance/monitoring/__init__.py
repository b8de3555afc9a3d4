"""What production looks like compared with training: drift of readings and predictions, performance, silent machines."""
