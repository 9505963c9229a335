//! The page of `report --html` in a real browser: headless Chromium loads it from its file, without a server.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::run;
use crate::report::{busiest, copy};
use crate::shared;

/// A browser that is here.
fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    })
}

/// What a page has become with a fragment behind its name, and what it said on the console.
struct Shown {
    document: String,
    console: Vec<String>,
}

fn show(browser: &str, directory: &Path, fragment: &str) -> Shown {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--window-size=1400,900",
            "--virtual-time-budget=4000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}/page.html{fragment}", directory.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let console = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_string).collect();
    Shown { document: String::from_utf8_lossy(&output.stdout).into_owned(), console }
}

/// The text of a document without its tags, style and scripts.
fn text(document: &str) -> String {
    let (_, body) = document.split_once("</style>").unwrap();
    let (body, _) = body.split_once("<script type=\"application/json\"").unwrap();
    let mut text = String::new();
    let mut inside = false;
    for letter in body.chars() {
        match letter {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(letter),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn it_loads_filters_and_selects_without_a_word_on_the_console() {
    let Some(browser) = browser() else { return shared::skipped("the page in a browser", "no Chromium is installed") };
    let work = copy(&busiest());
    let args =
        "report --html page.html --pcap traffic.pcap --cluster cluster.yaml --policies mistake.yaml --base old.yaml";
    assert_eq!(run(work.path(), args).exit, 1);
    for (fragment, has, has_not, what) in [
        ("", vec!["Would deny 1 observed edge", "shop", "data"], vec![], "as it opens"),
        ("#tab=workloads", vec!["web", "api", "db"], vec![], "a table of workloads"),
        ("#tab=workloads&q=db", vec!["db"], vec![], "a search"),
        ("#node=shop/Deployment/api", vec!["api", "8080"], vec![], "a workload"),
        ("#tab=findings", vec!["would be denied"], vec![], "findings"),
        ("#tab=policies", vec!["shop/api"], vec![], "policies"),
        ("#tab=change", vec!["What opens", "never seen", "no traffic that needs it"], vec![], "what changes"),
        ("#q=no-such-thing-anywhere", vec!["0 endpoints, 0 edges"], vec![], "nothing fits"),
    ] {
        let shown = show(browser, work.path(), fragment);
        assert_eq!(shown.console, Vec::<String>::new(), "{what}");
        let text = text(&shown.document);
        for word in has {
            assert!(text.contains(word), "{what}: {word} is not in: {text}");
        }
        let has_not: Vec<&str> = has_not;
        assert!(has_not.iter().all(|word| !text.contains(word)), "{what}: {text}");
    }
}
