#!/usr/bin/env bash
# Post the training report as a comment on the pull request or commit, with CML or, if CML fails, with the GitHub CLI.
#
#   comment.sh REPORT TARGET    TARGET: pr/NUMBER or commit/SHA
#
# Charts are left out because CML uploads them to a third-party server. The job's artifact has them.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$1 target=$2
version=${CML_VERSION:-v0.20.6}
mkdir -p build
sed '/^<details><summary>Charts/,/^<\/details>/d' "$report" > build/comment.md
echo "Charts and the full report: [artifact \`training\` of this run](${RUN_URL:?})" >> build/comment.md

post_with_cml() {
  if ! command -v cml > /dev/null; then
    gh release download "$version" --repo iterative/cml --pattern cml-linux-x64 --output build/cml &&
      chmod +x build/cml || return
    PATH="$PWD/build:$PATH"
  fi
  REPO_TOKEN=$GH_TOKEN cml comment create --publish=false --target="$target" build/comment.md
}

if ! post_with_cml; then
  echo "CML $version could not post the comment; posting it with gh"
  case $target in
    pr/*) gh pr comment "${target#pr/}" --body-file build/comment.md ;;
    commit/*) gh api "repos/$GITHUB_REPOSITORY/commits/${target#commit/}/comments" --field body=@build/comment.md ;;
    *) echo "$target: expected pr/NUMBER or commit/SHA" >&2; exit 2 ;;
  esac
fi
