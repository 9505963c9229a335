#!/usr/bin/env bash
# comment.sh: the report as a comment on the pull request, in place of the one that it left before. The step
# `comment` of action.yml.
#
# A comment of this action begins with its mark and is by whoever the token belongs to; no other is touched. A token
# that may not comment, such as that of a pull request from a fork, is said and no failure: the report is in the summary
# of the job.
set -euo pipefail
work=$(mktemp -d "$RUNNER_TEMP/ringfence-XXXXXX")
trap 'rm -rf "$work"' EXIT

none() { # WHY
  printf '::notice title=Ringfence::No comment: %s. The report is in the summary of this job.\n' "$1"
  exit 0
}

# Asks the API; the answer goes to a file.
api() { # FILE ARGUMENT...
  local file=$1
  shift
  gh api "$@" >"$work/$file" 2>"$work/error" && return
  # gh has read it from GitHub: one line, and no command to the runner.
  tr -cd '[:alnum:] .,:()/_-' <"$work/error" | sed 's/::/:/g' | cut -c -200 >"$work/why"
  none "the API refuses it (the token needs pull-requests: write; $(cat "$work/why"))"
}

for program in gh jq; do command -v "$program" >/dev/null || none "$program is not installed on this runner"; done
number=$(jq -r '.pull_request.number // empty' "$GITHUB_EVENT_PATH")
[[ $number =~ ^[0-9]+$ ]] || none "this is no pull request"
[[ -s $MARKDOWN ]] || none "there is no report"

api viewer.json graphql -f 'query={viewer{login}}'
login=$(jq -r .data.viewer.login "$work/viewer.json")
api comments.json --paginate "repos/$GITHUB_REPOSITORY/issues/$number/comments?per_page=100"
# Pages come as arrays one behind the other, or as one.
mark="<!-- ringfence-report: $INPUT_NAME -->"
id=$(jq -rs --arg login "$login" --arg mark "$mark" \
  '[.[][] | select(.user.login == $login and (.body | startswith($mark))) | .id] | first // empty' \
  "$work/comments.json")
if [[ -n $id ]]; then
  api answer.json --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$MARKDOWN"
  echo "comment $id updated"
elif [[ $VERDICT == skipped ]]; then
  echo "no policy changes, and no comment to correct"
else
  api answer.json --method POST "repos/$GITHUB_REPOSITORY/issues/$number/comments" -F "body=@$MARKDOWN"
  echo "comment $(jq -r .id "$work/answer.json") created"
fi
