#!/usr/bin/env bash
# What train.yaml runs: fetch the data, train where something has changed, report, and keep what came of it.
#
#   TRAIN_ON              runner, batch (the heavy steps on AWS Batch) or sagemaker (all of it as a training job)
#   FORCE                 true: train although nothing that DVC sees has changed; sources elsewhere may have
#   BASE                  the revision that the report compares with
#   REQUIRE               production or candidate: the job is red below it; empty: a rejected model is no failure
#   METAFLOW_RUN_PROMOTE  false: nothing is promoted, and no more than a candidate can be required
#   METAFLOW_SETTINGS     deploy/aws/metaflow.env.example, filled in
#   SAGEMAKER_OPTIONS     of `python -m deploy.sagemaker train`
#   DVC_USER, DVC_TOKEN   who reads and writes DVC's remote where that is not AWS: DagsHub's user and token
#
# What was trained and is to be kept by others is in build/training; nothing is there where nothing was trained.
# Exit codes: 0, 3 below REQUIRE, anything else for a training that stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
end() {
  code=$?
  [[ $code == 0 || $code == 3 ]] ||
    printf '## 🔴 The training stopped\n\nThe log of this job says where, and the way out.\n' >> "$summary"
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
  # shellcheck disable=SC2086  several words
  python -m deploy.sagemaker train ${SAGEMAKER_OPTIONS:?is not set: see python -m deploy.sagemaker train --help} \
    --set "promote=$promote" --set "require=${REQUIRE:-candidate}" # without a candidate there is no model to deliver
  { echo "## Trained on SageMaker"; echo '```'; python -m predictive_maintenance status; echo '```'; } >> "$summary"
  exit
fi
if [[ ${TRAIN_ON:-runner} == batch ]]; then
  export PDM_REMOTE_STEPS=${PDM_REMOTE_STEPS:-train,evaluate}
fi

remote=$(dvc config core.remote || true)
if [[ -n $remote && -n ${DVC_TOKEN:-} ]]; then
  # Not by `dvc remote modify`: a command's words can be seen by others.
  {
    echo "['remote \"$remote\"']"
    if [[ $(dvc config "remote.$remote.url") == http* ]]; then
      printf '    %s\n' "auth = basic" "user = ${DVC_USER:?is not set, and DVC\'s remote asks for one}" "password = $DVC_TOKEN"
    else # DagsHub's S3 takes the token as both keys
      printf '    %s\n' "access_key_id = $DVC_TOKEN" "secret_access_key = $DVC_TOKEN"
    fi
  } > .dvc/config.local
fi
if [[ -n $remote ]]; then
  dvc pull --allow-missing # what was never pushed is made by the training
else
  echo "DVC has no default remote: only data that git or the sources hold are trained on, and the model is kept by the registry alone"
fi

rm -rf build/run-id build/training
dvc repro $([[ ${FORCE:-} == true ]] && echo --force)
if [[ ! -f build/run-id ]]; then
  echo "## ⚪ Nothing to train" >> "$summary"
  echo "Code, settings and data are those of the last training." >> "$summary"
  exit
fi

git rev-parse --quiet --verify "${BASE:-HEAD}^{commit}" > /dev/null || BASE=HEAD # a branch that was rewritten
code=0
python -m predictive_maintenance report --run "$(cat build/run-id)" --base "${BASE:-HEAD}" ${REQUIRE:+--require "$REQUIRE"} || code=$?
[[ $code == 0 || $code == 3 ]] || exit "$code"
cat report/report.md >> "$summary"
mkdir -p build/training && cp -r report dvc.lock metrics.json plots build/training # for the jobs that comment and record
[[ -z $remote ]] || dvc push
exit "$code"
