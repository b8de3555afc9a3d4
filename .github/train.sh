#!/usr/bin/env bash
# Fetch the data, train if something has changed, write the report, and push the results. train.yaml runs this script.
#
#   TRAIN_ON              runner, batch (train and evaluate on AWS Batch) or sagemaker (the whole flow as a training job)
#   FORCE                 true: train even if DVC sees no change, for example when a database has new rows
#   BASE                  the git revision that the report compares with
#   REQUIRE               production or candidate: fail the job below that level; empty: a rejected model does not fail the job
#   METAFLOW_RUN_MACHINE  the kind of machine, by default that of params.yaml
#   METAFLOW_RUN_TAG      a tag of the run, such as incident:7
#   METAFLOW_RUN_PROMOTE  false: do not promote; REQUIRE is then at most candidate
#   METAFLOW_SETTINGS     the completed deploy/aws/metaflow.env.example
#   SAGEMAKER_OPTIONS     options of `python -m deploy.sagemaker train`
#   DVC_USER, DVC_TOKEN   credentials of a DVC remote outside AWS, such as a DagsHub user and token
#
# build/training holds the results for later jobs; it does not exist if nothing was trained.
# Exit codes: 0 success, 3 the model is below REQUIRE, other values: the training failed.
set -euo pipefail
cd "$(dirname "$0")/.."
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
end() {
  code=$?
  [[ $code == 0 || $code == 3 ]] ||
    printf '## 🔴 The training failed\n\nThe job log shows the error and how to fix it.\n' >> "$summary"
}
trap end EXIT

set -a
source /dev/stdin <<< "${METAFLOW_SETTINGS:-}"
set +a

promote=${METAFLOW_RUN_PROMOTE:-true}
if [[ ${promote,,} == false && -n ${REQUIRE:-} ]]; then
  REQUIRE=candidate
fi

if [[ ${TRAIN_ON:-runner} == sagemaker ]]; then
  # shellcheck disable=SC2086  word splitting is intended
  python -m deploy.sagemaker train ${SAGEMAKER_OPTIONS:?is not set: see python -m deploy.sagemaker train --help} \
    ${METAFLOW_RUN_MACHINE:+--set "machine=$METAFLOW_RUN_MACHINE"} ${METAFLOW_RUN_TAG:+--set "tag=$METAFLOW_RUN_TAG"} \
    --set "promote=$promote" --set "require=${REQUIRE:-candidate}" # SageMaker needs a model to deliver
  { echo "## Trained on SageMaker"; echo '```'; python -m predictive_maintenance status; echo '```'; } >> "$summary"
  exit
fi
if [[ ${TRAIN_ON:-runner} == batch ]]; then
  export PDM_REMOTE_STEPS=${PDM_REMOTE_STEPS:-train,evaluate}
fi

remote=$(dvc config core.remote || true)
if [[ -n $remote && -n ${DVC_TOKEN:-} ]]; then
  # Not with `dvc remote modify`: other users can see the arguments of a process.
  {
    echo "['remote \"$remote\"']"
    if [[ $(dvc config "remote.$remote.url") == http* ]]; then
      printf '    %s\n' "auth = basic" "user = ${DVC_USER:?is not set, but the DVC remote needs a user}" "password = $DVC_TOKEN"
    else # S3 on DagsHub takes the token as both keys
      printf '    %s\n' "access_key_id = $DVC_TOKEN" "secret_access_key = $DVC_TOKEN"
    fi
  } > .dvc/config.local
fi
if [[ -n $remote ]]; then
  dvc pull --allow-missing # outputs that were never pushed are made by the training
else
  echo "DVC has no default remote: training uses only data in git and in the configured sources; only the registry stores the model"
fi

rm -rf build/run-id build/training
dvc repro $([[ ${FORCE:-} == true ]] && echo --force)
if [[ ! -f build/run-id ]]; then
  echo "## ⚪ Nothing to train" >> "$summary"
  echo "Code, settings and data have not changed since the last training." >> "$summary"
  exit
fi

git rev-parse --quiet --verify "${BASE:-HEAD}^{commit}" > /dev/null || BASE=HEAD # the branch was rewritten
code=0
python -m predictive_maintenance report --run "$(cat build/run-id)" --compare-to "${BASE:-HEAD}" ${REQUIRE:+--fail-below "$REQUIRE"} || code=$?
[[ $code == 0 || $code == 3 ]] || exit "$code"
cat report/report.md >> "$summary"
mkdir -p build/training && cp -r report dvc.lock metrics.json plots build/training # for the jobs that comment and record
[[ -z $remote ]] || dvc push
exit "$code"
