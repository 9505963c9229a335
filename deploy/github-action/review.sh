#!/usr/bin/env bash
# review.sh: judges the policies of a pull request against recorded traffic. The step `review` of action.yml.
#
# Reads INPUT_*, RINGFENCE and what the runner sets, in the top of the checkout. Leaves comment.md, report.html and
# findings.sarif in a directory, and the verdict in GITHUB_OUTPUT. Ends with 0 whatever the verdict is: the comment
# comes after it, and verdict.sh is last.
#
# shellcheck disable=SC2016 # Backticks in single quotes are markdown.
set -euo pipefail
: "${INPUT_NAME?}" # Whatever else is missing, `set -u` names.

work=$(mktemp -d "$RUNNER_TEMP/ringfence-XXXXXX")
trap 'rm -rf "$work"' EXIT
declare -A codes=()

# A line of a workflow command: what else it says is escaped as the runner reads it.
annotate() { # LEVEL TEXT
  local text=${2//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '::%s title=Ringfence::%s\n' "$1" "${text//$'\n'/%0A}"
}

# Ends the step: outputs, and the summary of the job.
finish() { # VERDICT EXIT
  local command file
  {
    printf 'verdict=%s\nexit-code=%s\n' "$1" "$2"
    for command in diff check unused; do printf '%s=%s\n' "$command" "${codes[$command]:-}"; done
    for file in markdown=comment.md html=report.html sarif=findings.sarif; do
      if [[ -s $output/${file#*=} ]]; then printf '%s=%s\n' "${file%%=*}" "$output/${file#*=}"; fi
    done
  } >>"$GITHUB_OUTPUT"
  {
    cat "$output/comment.md"
    if ((${#codes[@]})); then
      printf '\n| Command | Exit code |\n|---|---|\n'
      for command in diff check unused report; do printf '| `%s` | %s |\n' "$command" "${codes[$command]:--}"; done
    fi
  } >>"$GITHUB_STEP_SUMMARY"
  echo "verdict: $1"
  exit 0
}

# A comment without a report behind it, so that an older one does not go on saying what is no longer so.
note() { # HEADING TEXT
  printf '<!-- ringfence-report: %s -->\n## %s\n\n%s\n' "$INPUT_NAME" "$1" "$2" >"$output/comment.md"
}

fail() { # TEXT
  annotate error "$1"
  note "⚠️ Not judged" "$1"
  finish error 2
}

# Runs one command, and keeps its exit code and what it says on stderr. What the program quotes from files of the pull
# request is no command to the runner, hence the token that nobody can know before.
run() { # NAME ARGUMENT...
  local token code=0
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '::group::ringfence %s\n::stop-commands::%s\n' "$1" "$token"
  "$RINGFENCE" "$@" 2>"$work/stderr" || code=$?
  cat "$work/stderr"
  printf '::%s::\n::endgroup::\n%s exits with %d\n' "$token" "$1" "$code"
  codes[$1]=$code
  case $code in
    0 | 1 | 3) ;;
    *)
      unreadable=true
      # Quoted in a fence below, which it must not close.
      { grep -E '^error|^ +--> ' "$work/stderr" || tail -3 "$work/stderr"; } |
        tr '`' "'" | cut -c -300 | sed -n 1,10p >>"$work/errors"
      ;;
  esac
}

# The commit to compare with. The history of a pull request is not what a shallow clone has.
base_commit() {
  local event=$GITHUB_EVENT_PATH tip parents
  if [[ -n $INPUT_BASE ]]; then
    git rev-parse --verify --quiet --end-of-options "$INPUT_BASE^{commit}"
    return
  fi
  tip=$(jq -r '.pull_request.base.sha // .merge_group.base_sha // empty' "$event")
  # Checked out is what would be merged: the change is what it adds to its first parent. The event's `base.sha` may be
  # older.
  if [[ $GITHUB_REF == refs/pull/*/merge && $(git rev-parse HEAD) == "$GITHUB_SHA" ]]; then
    mapfile -t parents < <(git cat-file commit HEAD | sed -n -e '/^$/q' -e 's/^parent //p')
    if ((${#parents[@]} == 2)); then
      # A shallow clone knows the name of the parent and has not got it.
      git cat-file -e "${parents[0]}^{commit}" 2>/dev/null ||
        git fetch --quiet --no-tags --depth=1 origin "${parents[0]}" >&2 || return
      echo "${parents[0]}"
      return
    fi
  fi
  [[ -n $tip ]] && git merge-base "$tip" HEAD
}

# Policies that can be read: a directory without any is a side of nothing, which the program takes as a list.
side() { # PATH
  local manifests=(\( -name '*.yaml' -o -name '*.yml' -o -name '*.json' \) ! -name 'kustomization.*')
  if [[ -e $1 && -n $(find -L "$1" -type f "${manifests[@]}" -print -quit) ]]; then
    echo "$1"
  else
    printf 'apiVersion: v1\nkind: List\nitems: []\n' >"$work/no-policies.yaml"
    echo "$work/no-policies.yaml"
  fi
}

if [[ ! $INPUT_NAME =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ || $INPUT_OUTPUT == *$'\n'* ]]; then
  annotate error "name: letters, digits, dots, hyphens and underscores; output: one line"
  exit 2
fi
output=${INPUT_OUTPUT:-$RUNNER_TEMP/ringfence-report-$INPUT_NAME}
mkdir -p -- "$output"
output=$(realpath -- "$output")
rm -f -- "$output"/{comment.md,report.html,findings.sarif}

for program in git jq; do command -v "$program" >/dev/null || fail "\`$program\` is not installed on this runner."; done
# In a container the checkout belongs to another user, whose repositories git does not read.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$PWD
top=$(git rev-parse --show-toplevel 2>/dev/null) ||
  fail "There is no checkout in the workspace: \`actions/checkout\` comes first."
[[ $top == "$(realpath .)" ]] || fail "The checkout has to be at the top of the workspace."
policies=${INPUT_POLICIES#./}
policies=${policies%/}
case "/$policies/" in
  //* | */./* | */../* | */.git/* | /-*) fail "policies: name a directory or a file below the top of the checkout." ;;
esac

base=$(base_commit) || fail "The commit to compare with is not in this clone. Give \`actions/checkout\` \
\`fetch-depth: 0\`, or name a commit that is there in the input \`base\`."
# By an index of its own, as a checkout would write them: `git archive` leaves out what .gitattributes says.
mkdir "$work/base"
export GIT_INDEX_FILE=$work/index
git read-tree "$base"
git --literal-pathspecs ls-files -z -- "$policies" | git checkout-index --force -z --stdin --prefix="$work/base/"
unset GIT_INDEX_FILE
old=$work/base/$policies
[[ -e $old || -e $policies ]] || fail "policies: there is no \`$policies\`, before the change or after it."
if [[ -e $old && -e $policies ]] && diff -r --brief --no-dereference -- "$old" "$policies" >/dev/null; then
  echo "no difference below $policies since $base"
  note "ℹ️ No policy changes" "Nothing below \`$policies\` differs from the base."
  finish skipped ""
fi

# What is wrong in a file is printed, so files have to be of the pull request: not the runner's, nor those in .git.
if [[ -e $policies || -L $policies ]]; then
  [[ $(realpath -m -- "$policies") == "$top/$policies" ]] ||
    fail "policies: \`$policies\` is reached through a symbolic link."
  while IFS= read -r -d '' link; do
    [[ $(realpath -m -- "$link") == "$top/$policies"/* ]] ||
      fail "policies: a symbolic link leaves \`$policies\`: ${link//[^A-Za-z0-9.\/_-]/?}"
  done < <(find "$policies" -type l -print0)
fi

logs=()
while IFS= read -r pattern; do
  [[ -n $pattern ]] || continue
  mapfile -t found < <(compgen -G "$pattern" | LC_ALL=C sort)
  ((${#found[@]})) || fail "log: \`$pattern\` is no file. Was the artifact downloaded?"
  logs+=("${found[@]/#/--log=}")
done <<<"$INPUT_LOG"
((${#logs[@]})) || fail "log: no flow log is named."
[[ -e $INPUT_SNAPSHOT ]] || fail "snapshot: there is no \`$INPUT_SNAPSHOT\`. Was the artifact downloaded?"

old=$(side "$old")
new=$(side "$policies")
evidence=("${logs[@]}" --cluster="$INPUT_SNAPSHOT")
plugin=(--ip-block-matches-pods="$INPUT_IP_BLOCK_MATCHES_PODS" --host-network="$INPUT_HOST_NETWORK")
window=(${INPUT_MIN_WINDOW:+"--min-window=$INPUT_MIN_WINDOW"})
ignore=(${INPUT_IGNORE:+"--ignore=$INPUT_IGNORE"})
unreadable=false
run diff "${evidence[@]}" "${plugin[@]}" -- "$old" "$new"
run check "${evidence[@]}" "${plugin[@]}" "${ignore[@]}" --policies="$new"
run unused "${evidence[@]}" "${plugin[@]}" "${window[@]}" "${ignore[@]}" --policies="$new"
run report "${evidence[@]}" "${plugin[@]}" "${window[@]}" "${ignore[@]}" --policies="$new" --base="$old" \
  --marker="$INPUT_NAME" ${INPUT_TITLE:+"--title=$INPUT_TITLE"} --markdown="$output/comment.md" \
  --html="$output/report.html" --sarif="$output/findings.sarif"

if [[ $unreadable == true ]]; then
  said=$(sort -u "$work/errors")
  # The program goes on with what it could read, and what it says then is no verdict: none should stand in a report.
  rm -f -- "$output"/{report.html,findings.sarif}
  note "⚠️ Not judged" "$(printf 'Not all of the input could be read:\n\n```text\n%s\n```' "$said")"
  annotate error "Not all of the input could be read; the log of this step says what."
  finish error 2
fi
case ${codes[report]} in
  0) finish safe 0 ;;
  1) finish denies 1 ;;
  *) finish insufficient 3 ;;
esac
