//! Errors that a person can act on: a code, what is wrong and where, the line underlined, and what to try next.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use synth::manifest::Problem;

use crate::cluster;

/// What kind of thing is wrong. The words are stable: people search for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Text that is neither YAML nor JSON, or no object.
    Manifest,
    /// An object that the API server would refuse.
    Refused,
    /// A capture that cannot be read.
    Capture,
    /// A flow log that cannot be read.
    FlowLog,
    /// Arguments that do not go together, or that the input does not have.
    Argument,
    /// A file of this program's own: edges, ignored findings.
    List,
    /// A cluster that does not answer, or not everything.
    Cluster,
    /// A file or stream that cannot be read or written.
    File,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Code::Manifest => "manifest",
            Code::Refused => "refused",
            Code::Capture => "capture",
            Code::FlowLog => "flow-log",
            Code::Argument => "argument",
            Code::List => "list",
            Code::Cluster => "cluster",
            Code::File => "file",
        }
    }
}

/// An error with its code and what to try next.
#[derive(Debug)]
struct Complaint {
    code: Code,
    next: String,
    source: anyhow::Error,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.source)
    }
}

impl std::error::Error for Complaint {}

/// Adds what a person needs to an error.
pub(crate) trait Complain<T> {
    /// The same error with a code and what to try next: a sentence without a full stop.
    fn complain(self, code: Code, next: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Complain<T> for Result<T, E> {
    fn complain(self, code: Code, next: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|error| with(error.into(), code, next))
    }
}

/// An error with a code and what to try next. Whoever stood nearer to it knows better.
fn with(source: anyhow::Error, code: Code, next: impl FnOnce() -> String) -> anyhow::Error {
    match source.chain().any(|cause| cause.is::<Complaint>()) || is_closed_pipe(&source) {
        true => source,
        false => Complaint { code, next: next(), source }.into(),
    }
}

/// What ends a command without anybody having said more: if nothing failed underneath, it is about what was asked for.
pub(crate) fn of_command(error: anyhow::Error, command: &str) -> anyhow::Error {
    let failed = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match failed {
        Some(kind) => with(error, Code::File, || {
            let next = match kind {
                io::ErrorKind::NotFound => "look whether the file, and the directory that it is to be in, are there",
                io::ErrorKind::PermissionDenied => "look at its owner and rights, or name another place",
                io::ErrorKind::StorageFull => "make room, or name another place",
                _ => "look at what the system says of this place, or name another one",
            };
            next.to_string()
        }),
        None if error.chain().any(|cause| cause.is::<rusqlite::Error>()) => error,
        None => with(error, Code::Argument, || format!("`ringfence {command} --help` has the arguments, and examples")),
    }
}

/// Whether somebody who read the output went away: that is no error.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let plain = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        plain.or_else(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

/// Whether stderr takes colours: a terminal, and nobody said no (no-color.org).
pub(crate) fn has_colour() -> bool {
    let is_said = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !is_said("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn renderer() -> Renderer {
    if has_colour() { Renderer::styled() } else { Renderer::plain() }
}

/// The error that ends the program, as it is shown.
pub(crate) fn shown(error: &anyhow::Error) -> String {
    let message = printable(&format!("{error:#}"));
    let complaint = error.chain().find_map(|cause| cause.downcast_ref::<Complaint>());
    let title = titled(&message, complaint.map(|complaint| complaint.code));
    let next = complaint.map_or(String::new(), |complaint| next(&complaint.next) + "\n");
    format!("{title}\n{next}")
}

/// `error[code]: message`.
fn titled(message: &str, code: Option<Code>) -> String {
    let title = Level::ERROR.primary_title(message);
    let title = match code {
        Some(code) => title.id(code.name()),
        None => title,
    };
    renderer().render(&[Group::with_title(title)])
}

/// `next: what to try`.
fn next(text: &str) -> String {
    renderer().render(&[Group::with_title(Level::HELP.with_name("next").secondary_title(text))])
}

/// Problems that are shown with their line; of more the place has to do.
const UNDERLINED: usize = 20;

/// Writes problems with objects, each with its line underlined.
///
/// # Errors
/// Whatever writing fails with.
pub(crate) fn problems<'p>(problems: impl IntoIterator<Item = &'p Problem>, err: &mut impl Write) -> io::Result<()> {
    let mut texts: Option<(String, String)> = None;
    for (number, problem) in problems.into_iter().enumerate() {
        let file = problem.origin.file.to_string();
        if texts.as_ref().is_none_or(|(known, _)| *known != file) {
            // What is no file can be read only once.
            let is_file = fs::metadata(&file).is_ok_and(|found| found.is_file());
            let text = if is_file { fs::read_to_string(&file).unwrap_or_default() } else { String::new() };
            texts = Some((file.clone(), text));
        }
        let text = texts.as_ref().filter(|_| number < UNDERLINED).map_or("", |(_, text)| text);
        writeln!(err, "{}", underlined(problem, text, number == 0))?;
    }
    Ok(())
}

/// One problem; `text` is that of its file, where there is one.
fn underlined(problem: &Problem, text: &str, is_first: bool) -> String {
    let (file, message) = (one_line(&problem.origin.file), one_line(&problem.message));
    let code = match problem.object {
        _ if cluster::is_name(&problem.origin.file) => Code::Cluster,
        Some(_) => Code::Refused,
        None => Code::Manifest,
    };
    let place = |line: usize| text.lines().nth(line.checked_sub(1)?);
    let next = match code {
        Code::Cluster => {
            "`kubectl auth can-i --list` shows what may be read; --cluster FILE reads a dump instead".to_string()
        }
        Code::Refused => format!(
            "the API server would refuse it, so it counts for nothing; `ringfence lint {file}` names all mistakes"
        ),
        _ => format!("mend it, or leave it out; everything else was read. `ringfence lint {file}` names all mistakes"),
    };
    let line = usize::try_from(problem.origin.line).unwrap_or_default();
    let shown = match place(line) {
        // A line that is no text for people, as that of a dump in one line, says nothing.
        Some(source) if source.chars().count() <= 400 => {
            let snippet = Snippet::source(source)
                .path(&file)
                .line_start(line)
                .annotation(AnnotationKind::Primary.span(blamed(source, &message)));
            renderer().render(&[Level::ERROR.primary_title(&message).id(code.name()).element(snippet)])
        }
        _ => {
            let line = if line > 0 { format!(":{line}") } else { String::new() };
            titled(&format!("{file}{line}: {message}"), Some(code))
        }
    };
    // Said once: it is the same for all.
    if is_first { format!("{shown}\n{}", self::next(&next)) } else { shown }
}

/// What of a line is meant: the last word of the message's path or a quoted value that stands in the line, else all of it
/// without the space around.
fn blamed(source: &str, message: &str) -> Range<usize> {
    let quoted = message.split(['"', '`', '\'']).skip(1).step_by(2).filter(|word| !word.is_empty());
    let key = message.split(": ").nth(1).and_then(|path| path.rsplit('.').next());
    for word in quoted.chain(key.map(|key| key.split('[').next().unwrap_or(key)).filter(|key| key.len() > 2)) {
        if let Some(at) = source.find(word) {
            // With a key goes its value.
            let end =
                if source[at + word.len()..].starts_with(':') { source.trim_end().len() } else { at + word.len() };
            return at..end;
        }
    }
    let start = source.len() - source.trim_start().len();
    start..source.trim_end().len().max(start)
}

/// Text on one line, whatever names of files and objects hold.
fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// A message that moves no cursor: names come from files of others.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synth::policy::Origin;

    fn problem(line: u32, message: &str, object: Option<&str>) -> Problem {
        let origin = Origin { file: "p.yaml".into(), line };
        Problem { origin, message: message.to_string(), object: object.map(str::to_string), unquoted: None }
    }

    #[test]
    fn the_line_is_shown_and_what_is_meant_of_it_is_underlined() {
        let text = "kind: NetworkPolicy\nspec:\n    cidr: 10.0.0.300/8\n";
        for (problem, expected) in [
            (
                problem(3, "NetworkPolicy shop/api: spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.300/8\" is no CIDR", Some("x")),
                "error[refused]: NetworkPolicy shop/api: spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.300/8\" is no CIDR
 --> p.yaml:3:11
  |
3 |     cidr: 10.0.0.300/8
  |           ^^^^^^^^^^^^
next: the API server would refuse it, so it counts for nothing; `ringfence lint p.yaml` names all mistakes",
            ),
            (
                problem(2, "something is wrong here", None),
                "error[manifest]: something is wrong here
 --> p.yaml:2:1
  |
2 | spec:
  | ^^^^^
next: mend it, or leave it out; everything else was read. `ringfence lint p.yaml` names all mistakes",
            ),
            (
                problem(9, "beyond the end", None),
                "error[manifest]: p.yaml:9: beyond the end
next: mend it, or leave it out; everything else was read. `ringfence lint p.yaml` names all mistakes",
            ),
        ] {
            assert_eq!(underlined(&problem, text, true), expected);
        }
    }

    #[test]
    fn an_error_has_a_code_and_something_to_try() {
        let failed: anyhow::Result<()> = Err(anyhow::anyhow!("x.pcap: neither pcap nor pcapng"));
        let error = failed.complain(Code::Capture, || "look at it".to_string()).unwrap_err();
        assert_eq!(shown(&error), "error[capture]: x.pcap: neither pcap nor pcapng\nnext: look at it\n");
        let again = Err::<(), _>(error).complain(Code::Argument, || "something else".to_string()).unwrap_err();
        assert!(shown(&again).starts_with("error[capture]"), "the nearer one counts");
        assert_eq!(shown(&anyhow::anyhow!("plain")), "error: plain\n");
    }
}
