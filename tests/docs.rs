//! What README.md and docs/ show is what the program does.
//!
//! The commands of a page run one after the other in a directory of their own, with what [`Place::new`] puts there. Each has to
//! exit with 0, or with what its comment promises. What stands beneath a command of a `console` block has to be what it
//! prints, stdout and stderr as a terminal shows them: exactly, but for lines `...`, which stand for any number of lines, and
//! ` ...` at the end of one, for the rest of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program;
use crate::recordings::RECORDINGS;
use crate::shared::skipped;
use crate::shell::Line;
use crate::snippets::{commands, pages, spans};

/// Programs beside ours that pages may use: they are on every machine.
const PROGRAMS: [&str; 5] = ["ringfence", "cp", "mkdir", "rm", "sed"];

/// An option that pages name and that is not ours: of `tests/bench/speed.py`.
const OF_ANOTHER: &str = "--packets";

/// How commands begin that do not run here, and why.
const ELSEWHERE: [(&str, &str); 11] = [
    ("kubectl", "needs a cluster"),
    ("tcpdump", "needs root"),
    ("bash pcaps/demo.sh", "builds the program"),
    ("bash tests/run.sh", "runs these tests"),
    ("cargo install", "builds the program"),
    ("python3 tests/bench", "takes many minutes"),
    ("sudo python3 tests/bench", "takes many minutes, and root"),
    ("cargo bench", "takes many minutes"),
    ("ringfence record -i", "needs root"),
    ("ringfence snapshot", "needs a cluster"),
    ("ringfence collect", "needs a cluster"),
];

/// A directory in which the commands of a page run.
pub struct Place(pub tempfile::TempDir);

impl Place {
    /// With the two captures of the recording `shop`, its cluster as `dump.yaml`, and the flow log of both as `week.db`; and
    /// the recording where the repository has it.
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let (shop, copy) = (RECORDINGS[0].folder(), place.0.path().join("pcaps/shop"));
        fs::create_dir_all(&copy).unwrap();
        for (file, name) in
            [("node-a.pcap", "node-a.pcap"), ("node-b.pcap", "node-b.pcap"), ("cluster.yaml", "dump.yaml")]
        {
            fs::copy(shop.join(file), copy.join(file)).unwrap();
            fs::copy(shop.join(file), place.0.path().join(name)).unwrap();
        }
        let record = "record --pcap node-a.pcap node-b.pcap --cluster dump.yaml --log week.db -q";
        assert_eq!(program::run(place.0.path(), record).exit, 0);
        place
    }

    /// The exit code, and stdout and stderr in the order in which they came.
    pub fn run(&self, text: &str) -> (i32, String) {
        let ours = PathBuf::from(env!("CARGO_BIN_EXE_ringfence"));
        let mut path = vec![ours.parent().unwrap().to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let known = program::command(self.0.path());
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1\n{text}")]).current_dir(self.0.path()).stdin(Stdio::null());
        for (name, value) in known.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.env("PATH", std::env::join_paths(path).unwrap()).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).unwrap())
    }
}

/// Why a command does not run here; it counts for the whole line.
fn elsewhere(line: &Line) -> Option<(&'static str, &'static str)> {
    let begins = |command: &Vec<String>, start: &str| {
        let start: Vec<&str> = start.split(' ').collect();
        // `python3 tests/bench` is any file of the folder.
        command.len() >= start.len()
            && command
                .iter()
                .zip(&start)
                .all(|(word, wanted)| word == wanted || wanted.contains('/') && word.starts_with(&format!("{wanted}/")))
    };
    ELSEWHERE.into_iter().find(|(start, _)| line.commands.iter().any(|command| begins(command, start)))
}

/// Whether lines are what a page shows.
fn fits(shown: &[String], printed: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return printed.is_empty() };
    if first == "..." {
        return (0..=printed.len()).any(|skip| fits(rest, &printed[skip..]));
    }
    let Some((line, others)) = printed.split_first() else { return false };
    let same = match first.strip_suffix(" ...") {
        Some(start) => line.starts_with(start),
        None => line == first,
    };
    same && fits(rest, others)
}

#[test]
fn every_command_does_what_its_page_says() {
    let mut wrong = String::new();
    let mut unused: BTreeSet<&str> = ELSEWHERE.into_iter().map(|(start, _)| start).collect();
    for (name, text) in pages() {
        let place = Place::new();
        for shown in commands(&name, &text) {
            let line = shown.line();
            if let Some((start, why)) = elsewhere(&line) {
                unused.remove(start);
                let commands: Vec<String> = line.commands.iter().map(|command| command.join(" ")).collect();
                skipped(&format!("{}: {}", shown.place, commands.join(" && ")), why);
                continue;
            }
            let unknown = line.commands.iter().find(|command| !PROGRAMS.contains(&command[0].as_str()));
            if let Some(command) = unknown {
                wrong += &format!("{}: {} is neither run nor said to run elsewhere\n", shown.place, command[0]);
                continue;
            }
            let (exit, printed) = place.run(&shown.text);
            if exit != line.exit() {
                wrong += &format!("{}: {}\nexits with {exit}:\n{printed}\n", shown.place, shown.text);
            }
            let lines: Vec<&str> = printed.lines().collect();
            if shown.output.as_ref().is_some_and(|output| !fits(output, &lines)) {
                wrong += &format!("{}: {}\nprints:\n{printed}\n", shown.place, shown.text);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(unused.is_empty(), "no page has {unused:?}");
}

/// Long and short options of a command, as its help lists them.
fn options(directory: &Path, command: &str) -> BTreeSet<String> {
    let help = program::run(directory, &format!("{command} --help"));
    assert_eq!(help.exit, 0, "{}", help.stderr);
    let listed = help.stdout.lines().filter(|line| line.starts_with("  ")).map(str::trim_start);
    let names = listed.filter(|line| line.starts_with('-')).flat_map(|line| line.split("  ").next());
    let plain = |word: &str| word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_string();
    names.flat_map(str::split_whitespace).filter(|word| word.starts_with('-')).map(plain).collect()
}

/// The commands that `--help` lists.
fn subcommands(directory: &Path) -> Vec<String> {
    let help = program::run(directory, "--help").stdout;
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").map(str::to_string).collect()
}

/// What is wrong with how a line uses the program, by the options that each command has.
fn misused(line: &Line, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for command in &line.commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let (["ringfence", name, rest @ ..] | ["kubectl", "ringfence", name, rest @ ..]) = &words[..] else { continue };
        match known.get(*name) {
            None if name.starts_with('-') => {}
            None => wrong.push(format!("no command {name}")),
            Some(options) => {
                let used = rest.iter().filter(|word| word.len() > 1 && word.starts_with('-'));
                let used = used.filter_map(|word| word.split('=').next()).filter(|word| !options.contains(*word));
                wrong.extend(used.map(|option| format!("{name} has no {option}")));
            }
        }
    }
    wrong
}

/// Also of commands that do not run here, and of those in sentences.
#[test]
fn no_page_has_an_option_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let names = subcommands(directory.path()).into_iter();
    let known: BTreeMap<String, BTreeSet<String>> =
        names.map(|name| (name.clone(), options(directory.path(), &name))).collect();
    let mut wrong = Vec::new();
    for (name, text) in pages() {
        for shown in commands(&name, &text) {
            wrong.extend(misused(&shown.line(), &known).into_iter().map(|what| format!("{}: {what}", shown.place)));
        }
        for (place, span) in spans(&name, &text) {
            wrong.extend(misused(&Line::parse(&span), &known).into_iter().map(|what| format!("{place}: {what}")));
            let word = span.split([' ', '=']).next().unwrap_or_default();
            let is_ours = known.values().any(|options| options.contains(word)) || word == OF_ANOTHER;
            if word.starts_with("--") && !is_ours {
                wrong.push(format!("{place}: no command has {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_command_and_option_is_on_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let text: String = pages().into_iter().map(|(_, text)| text).collect();
    let words: BTreeSet<&str> = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').collect();
    let mut missing = Vec::new();
    for command in subcommands(directory.path()) {
        if !text.contains(&format!("ringfence {command}")) {
            missing.push(command.clone());
        }
        let long = options(directory.path(), &command).into_iter().filter(|option| option.starts_with("--"));
        missing
            .extend(long.filter(|option| !words.contains(option.as_str())).map(|option| format!("{command} {option}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, text) in pages() {
        for (_, target) in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| ((), link)))
        {
            let path = target.split('#').next().unwrap();
            let is_file = target.contains("://") || root.join(&name).parent().unwrap().join(path).exists();
            assert!(is_file, "{name}: {target} is not there");
        }
    }
}

/// The test itself: a page that is wrong is found out.
#[test]
fn what_a_page_shows_is_held_against_what_is_printed() {
    for (shown, printed, expected) in [
        ("a\nb", "a\nb", true),
        ("a", "a\nb", false),
        ("a\nb", "a", false),
        ("...\nc", "a\nb\nc", true),
        ("a\n...", "a", true),
        ("...\nc", "a\nb", false),
        ("a b ...", "a b c d", true),
        ("a b ...", "a c", false),
    ] {
        let shown: Vec<String> = shown.lines().map(str::to_string).collect();
        assert_eq!(fits(&shown, &printed.lines().collect::<Vec<_>>()), expected, "{shown:?} {printed}");
    }
    for (text, reason) in [
        ("kubectl ringfence collect -o week.db", Some("needs a cluster")),
        ("python3 tests/bench/speed.py", Some("takes many minutes")),
        ("ls | kubectl apply -f -", Some("needs a cluster")),
        ("ringfence record --pcap a.pcap", None),
        ("ringfence snapshots", None),
    ] {
        assert_eq!(elsewhere(&Line::parse(text)).map(|(_, why)| why), reason, "{text}");
    }
}
