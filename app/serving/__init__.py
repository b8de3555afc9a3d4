"""The served model: loading, caching, following promotions, and assessing readings."""
