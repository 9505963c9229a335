//! What people type, and where input comes from and output goes to.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::input::{capture, directory, hold, none};
use crate::packets::{ETHERNET, pcap};
use crate::program::{command, run, run_with_input};
use crate::traffic;

#[test]
fn usage() {
    let text = |text: &str| ("edges.txt", text.as_bytes().to_vec());
    let generate = "generate --pcap traffic.pcap --cluster cluster.yaml";
    hold(vec![
        (none(), "flows --pcap traffic.pcap --since yesterday", 2, &["--since", "RFC 3339"], &[]),
        (none(), "flows --pcap traffic.pcap --cluster cluster.yaml -l app=(", 2, &["--selector"], &[]),
        (none(), "flows --pcap traffic.pcap --pod-cidr 10.0.0.0/99", 2, &["--pod-cidr"], &[]),
        (none(), "flows --pcap traffic.pcap --colour", 2, &["--colour"], &[]),
        (none(), "flows --pcap - -", 2, &["stdin"], &[]),
        (none(), "flows", 2, &["--pcap"], &[]),
        (none(), "fly", 2, &["fly"], &[]),
        (none(), "", 2, &["Usage"], &[]),
        (none(), "generate --pcap traffic.pcap", 2, &["--cluster"], &[]),
        (none(), "generate --pcap traffic.pcap --cluster cluster.yaml --check", 2, &["--check", "-o"], &[]),
        (
            text("# fine\nshop/web -> shop/api:8080/TCP\n"),
            "generate --pcap traffic.pcap --cluster cluster.yaml --exclude edges.txt",
            2,
            &["edges.txt:2", "reason"],
            &[],
        ),
        (
            text("shop/web -> shop/api:8080/tcp # low\nweb -> shop/api:8080/TCP # short\n"),
            "generate --pcap traffic.pcap --cluster cluster.yaml --include edges.txt",
            2,
            &["edges.txt:1", "tcp", "edges.txt:2", "web"],
            &[],
        ),
        (none(), "flows --help", 0, &[], &["Usage", "--pcap", "Examples"]),
        (none(), "generate --help", 0, &[], &["Usage", "--default-deny", "Examples"]),
        (none(), "check --help", 0, &[], &["Usage", "--policies"]),
        (none(), "--help", 0, &[], &["flows", "generate", "check", "Exit codes"]),
        (none(), "--version", 0, &[], &["ringfence "]),
        (none(), generate, 0, &["gate: 2 edges replayed"], &["name: web"]),
    ]);
}

/// A name with a mistake in it would leave out everything, and find nothing.
#[test]
fn what_nothing_has_is_refused() {
    let text = |text: &str| ("edges.txt", text.as_bytes().to_vec());
    let mut rows = Vec::new();
    for (command, more) in [
        ("flows -n shopp", "-n shopp"),
        ("check -n shopp", "-n shopp"),
        ("check -l app=nobody", "-l app=nobody"),
        ("unused -n shopp", "-n shopp"),
        ("generate -n shopp", "-n shopp"),
    ] {
        let args = format!("{command} --pcap traffic.pcap --cluster cluster.yaml");
        rows.push((none(), &*args.leak(), 2, &*vec![more].leak(), &[][..]));
    }
    rows.extend([
        (none(), "reach --cluster cluster.yaml -n shopp", 2, &["-n shopp"][..], &[][..]),
        (none(), "check --pcap traffic.pcap", 2, &["no pods in the cluster input"], &[]),
        (
            text("shop/wbe -> shop/api:8080/TCP # a typing mistake\n"),
            "generate --pcap traffic.pcap --cluster cluster.yaml --exclude edges.txt",
            0,
            &["edges.txt:1: no observed edge is that one"],
            &["name: web"],
        ),
        (
            none(),
            "report --markdown cluster.yaml --pcap traffic.pcap --cluster cluster.yaml",
            2,
            &["it is read here"],
            &[],
        ),
        (
            none(),
            "report --html x --markdown x --pcap traffic.pcap --cluster cluster.yaml",
            2,
            &["written already"],
            &[],
        ),
        (none(), "report --markdown - --marker a--b --pcap traffic.pcap", 2, &["two hyphens"], &[]),
    ]);
    hold(rows);
}

/// As a plugin of kubectl the program says what its users type.
#[cfg(unix)]
#[test]
fn usage_by_the_name_of_the_plugin() {
    let directory = directory(&[]);
    let program = command(directory.path()).get_program().to_owned();
    let said = |name: &str, args: &[&str]| {
        let path = directory.path().join(name);
        std::os::unix::fs::symlink(&program, &path).unwrap();
        let output = std::process::Command::new(&path).args(args).output().unwrap();
        std::fs::remove_file(&path).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        text(output.stdout) + &text(output.stderr)
    };
    for (args, usage) in [
        (&["--help"][..], "Usage: NAME [OPTIONS] <COMMAND>"),
        (&["flows", "--help"], "Usage: NAME flows "),
        (&["flows", "--colour"], "Usage: NAME flows "),
        (&["flows"], "Usage: NAME flows <--pcap <FILE>...|--log <LOG>...>"),
    ] {
        for (file, name) in [("kubectl-ringfence", "kubectl ringfence"), ("ringfence", "ringfence")] {
            let (said, usage) = (said(file, args), usage.replace("NAME", name));
            assert!(said.contains(&usage), "{usage}: {said}");
        }
    }
    assert!(said("kubectl-ringfence", &["--version"]).starts_with("ringfence "));
}

/// `--since` is inclusive, `--until` is not.
#[test]
fn only_the_time_asked_for() {
    let directory = directory(&[]);
    let ports = |cut: &str| {
        let run = run(directory.path(), &format!("flows --pcap traffic.pcap -o json {cut}"));
        assert_eq!(run.exit, 0, "{}", run.stderr);
        ["8080", "9090"].map(|port| run.stdout.contains(&format!("\"port\":{port}")))
    };
    assert_eq!(ports("--since 2026-11-01T00:00:02Z"), [false, true]);
    assert_eq!(ports("--until 2026-11-01T00:00:02Z"), [true, false]);
    assert_eq!(ports("--since 2026-11-01T02:00:01+02:00 --until 2026-11-01T00:00:03Z"), [true, true]);
}

#[test]
fn quiet_says_nothing_but_errors() {
    let directory = directory(&[("bad.yaml", b"kind: Pod\nmetadata: 7\n".to_vec())]);
    for command in ["flows", "generate", "check"] {
        let run_quietly = |cluster: &str| {
            run(directory.path(), &format!("{command} -q --pcap traffic.pcap --cluster cluster.yaml {cluster}"))
        };
        assert_eq!(run_quietly("").stderr, "");
        assert!(run_quietly("bad.yaml").stderr.contains("--> bad.yaml:2"));
    }
}

#[test]
fn a_compressed_capture_from_stdin() {
    let directory = directory(&[]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&capture()).unwrap();
    let from_file = run(directory.path(), "flows --pcap traffic.pcap -o json");
    let from_stdin = run_with_input(directory.path(), "flows --pcap - -o json", &gzip.finish().unwrap());
    assert_eq!((from_stdin.exit, from_stdin.stdout), (0, from_file.stdout));
    assert!(from_stdin.stderr.contains("stdin: 14 frames"));
}

/// `ringfence flows ... | head -1`: whoever reads has seen enough.
#[test]
fn a_closed_pipe_is_success() {
    let many = traffic::frames("00:00:01 10.1.0.5:40000 -> 10.1.0.7:1000-4000 TCP established");
    let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: deny}\nspec: {podSelector: {}}\n";
    let directory = directory(&[("many.pcap", pcap(ETHERNET, &many)), ("deny.yaml", deny.as_bytes().to_vec())]);
    let mut wrong = Vec::new();
    for output in [
        "flows -o table",
        "flows -o json",
        "flows -o dot",
        "flows -o mermaid",
        "check --policies deny.yaml",
        "check -o json",
    ] {
        let mut child = command(directory.path())
            .args(format!("{output} --pcap many.pcap --cluster cluster.yaml").split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 16];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = child.wait_with_output().unwrap();
        if ended.status.code() != Some(0) {
            wrong.push((output, ended.status, String::from_utf8(ended.stderr).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let help = run(directory.path(), "--help").stdout;
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (list, _) = rest.split_once("\n\n").unwrap();
    let name =
        |line: &str| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()).map(str::to_string);
    list.lines().filter_map(name).filter(|name| name != "help").collect()
}

#[test]
fn every_command_has_examples_completions_and_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    assert_eq!(run(directory.path(), "man pages").exit, 0);
    let shells = ["bash", "elvish", "fish", "powershell", "zsh"].map(|shell| {
        let script = run(directory.path(), &format!("completions {shell}"));
        assert_eq!(script.exit, 0, "{shell}");
        (shell, script.stdout)
    });
    for command in &commands {
        let help = run(directory.path(), &format!("{command} --help")).stdout;
        assert!(
            help.contains("Examples:\n  ringfence ") && help.contains(&format!("ringfence {command} ")),
            "{command}: {help}"
        );
        let page = fs::read_to_string(directory.path().join(format!("pages/ringfence-{command}.1"))).unwrap();
        assert!(page.contains("Examples:"), "{command}: {page}");
        for (shell, script) in &shells {
            assert!(script.contains(command.as_str()), "{shell} does not know {command}");
        }
    }
}

/// Colours only for a terminal, which `script` (Debian: bsdutils) plays, and for nobody who said no.
#[test]
fn colours_are_for_terminals() {
    let directory = tempfile::tempdir().unwrap();
    let plain = run(directory.path(), "flows --pcap gone.pcap").stderr;
    assert!(plain.starts_with("error[capture]: gone.pcap"), "{plain}");
    let played = |no_color: &str| {
        let line = format!("{} flows --pcap gone.pcap", env!("CARGO_BIN_EXE_ringfence"));
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).current_dir(directory.path());
        script.env("TERM", "xterm").env("NO_COLOR", no_color).stdin(Stdio::null());
        script.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(coloured) = played("") else { return crate::shared::skipped("colours", "there is no program `script`") };
    assert!(coloured.contains("\x1b[") && coloured.contains("gone.pcap"), "{coloured:?}");
    let refused = played("1").unwrap();
    assert!(!refused.contains("\x1b[") && refused.contains("error[capture]: gone.pcap"), "{refused:?}");
}
