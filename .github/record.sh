#!/usr/bin/env bash
# Commit the training results that git tracks (dvc.lock, metrics.json, plots) to the checked-out branch and push them.
# With them, any two commits can be compared and the data of any commit can be pulled from the DVC remote.
#
#   record.sh MESSAGE
set -euo pipefail
cd "$(dirname "$0")/.."
git add --all -- dvc.lock metrics.json plots
if git diff --cached --quiet; then
  echo "no changed results to commit"
  exit
fi
git -c user.name="github-actions[bot]" -c user.email="41898282+github-actions[bot]@users.noreply.github.com" commit --quiet --message "$1"
for attempt in 1 2 3; do
  git push --quiet origin HEAD && exit
  echo "the branch has new commits: rebasing (attempt $attempt of 3)"
  git pull --quiet --rebase
done
echo "the results could not be pushed: allow this workflow to push to the branch; the artifact \`training\` has the results" >&2
exit 1
