#!/usr/bin/env bash
# Commit what a training made of files that git keeps, so that any two commits can be compared and any of them pulled.
# DVC's remote has the rest. Takes the message; the branch is the one that is checked out.
set -euo pipefail
cd "$(dirname "$0")/.."
git add --all -- dvc.lock metrics.json plots
if git diff --cached --quiet; then
  echo "nothing to record"
  exit
fi
git -c user.name="github-actions[bot]" -c user.email="41898282+github-actions[bot]@users.noreply.github.com" commit --quiet --message "$1"
for attempt in 1 2 3; do
  git push --quiet origin HEAD && exit
  echo "somebody was faster: attempt $attempt"
  git pull --quiet --rebase
done
echo "the results could not be pushed: may this workflow write to the branch? They are in the artifact \`training\`" >&2
exit 1
