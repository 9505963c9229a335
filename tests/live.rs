//! The live cluster: `snapshot`, and commands that read their objects from an API server, held against a fake one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::fakeapi::{Answer, Asked, FakeApi, Store, failure, kubeconfig};
use crate::input::directory;
use crate::program::{Run, run};

/// `web` talks to `api`, as in `crate::input`, and some that are alone.
fn store() -> Store {
    let pod = |name: &str, ip: &str| {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}, "uid": format!("{name}-1"),
                            "managedFields": [{"manager": "kubectl"}], "annotations": {"note": "secret-word"}},
               "spec": {"nodeName": "a", "containers": [{"name": "c", "env": [{"name": "P", "value": "secret-word"}]}]},
               "status": {"phase": "Running", "podIP": ip}})
    };
    let object = |version: &str, kind: &str, name: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "uid": name}});
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": "old", "uid": "p"}, "spec": {"podSelector": {"matchLabels": {"app": "db"}}}});
    let mut calico = object("crd.projectcalico.org/v1", "NetworkPolicy", "theirs");
    calico["metadata"]["namespace"] = "shop".into();
    Store::new(vec![
        pod("web", "10.1.0.5"),
        pod("db", "10.1.0.8"),
        pod("api", "10.1.0.7"),
        object("v1", "Namespace", "shop"),
        object("v1", "Node", "a"),
        object("v1", "Secret", "password"),
        policy,
        calico,
    ])
}

/// A directory with the usual files and a kubeconfig of a server.
fn at(server: &FakeApi) -> tempfile::TempDir {
    let directory = directory(&[]);
    server.kubeconfig(&directory.path().join("config"));
    directory
}

fn snapshot(directory: &Path, file: &str) -> Run {
    run(directory, &format!("snapshot --kubeconfig config -o {file}"))
}

/// What a snapshot holds: `Kind name`, in its order.
fn names(text: &str) -> Vec<String> {
    let list: Value = serde_json::from_str(text).unwrap();
    let name =
        |item: &Value| format!("{} {}", item["kind"].as_str().unwrap(), item["metadata"]["name"].as_str().unwrap());
    list["items"].as_array().unwrap().iter().map(name).collect()
}

fn read(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap()
}

const ALL: [&str; 7] =
    ["Namespace shop", "NetworkPolicy theirs", "NetworkPolicy old", "Node a", "Pod api", "Pod db", "Pod web"];

/// Without the line that holds the time.
fn without_time(text: &str) -> String {
    let time = |line: &&str| !line.contains("ringfence.dev/taken");
    text.lines().filter(time).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_snapshot_is_one_reduced_file() {
    let mut reversed = store();
    reversed.objects.reverse();
    let (server, other) = (FakeApi::of(store()), FakeApi::of(reversed));
    let directory = at(&server);
    let taken = snapshot(directory.path(), "dump.json");
    assert_eq!((taken.exit, taken.stdout.as_str()), (0, ""), "{}", taken.stderr);
    assert!(taken.stderr.starts_with(&format!("context fake ({}): 7 objects, 20", server.url)), "{}", taken.stderr);
    let json = read(directory.path(), "dump.json");
    let mut found = names(&json);
    found.sort();
    let mut expected = ALL.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for word in ["secret-word", "managedFields", "env", "Secret"] {
        assert!(!json.contains(word), "{word}: {json}");
    }
    assert!(json.contains("\"resourceVersion\":\"100\"") && json.contains("\"ringfence.dev/taken\":\"20"), "{json}");
    let mode = fs::metadata(directory.path().join("dump.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Pages of 500, and of namespaces and other people's policies nothing but metadata; Secrets are nobody's business.
    let asked = server.asked();
    assert!(asked.iter().all(|asked| !asked.path.contains("secrets") && !asked.path.contains("configmaps")));
    let of = |path: &str| asked.iter().filter(|asked| asked.path == path).cloned().collect::<Vec<Asked>>();
    let pages = of("/api/v1/pods");
    assert_eq!(
        pages.iter().map(|page| page.query.get("continue").map(String::as_str)).collect::<Vec<_>>(),
        [None, Some("2")]
    );
    assert!(pages.iter().all(|page| page.query["limit"] == "500"), "{pages:?}");
    for path in ["/api/v1/namespaces", "/apis/crd.projectcalico.org/v1/networkpolicies"] {
        assert!(of(path)[0].accept.contains("as=PartialObjectMetadataList"), "{path}");
    }
    // The same state is the same file, whatever order it comes in, and a file already there is replaced.
    other.kubeconfig(&directory.path().join("config"));
    assert_eq!(snapshot(directory.path(), "dump.json").exit, 0);
    assert_eq!(without_time(&read(directory.path(), "dump.json")), without_time(&json));
    // Both forms say the same, and our own reader takes both.
    assert_eq!(snapshot(directory.path(), "dump.yaml").exit, 0);
    let [json, yaml] = ["dump.json", "dump.yaml"].map(|file| {
        let run = run(directory.path(), &format!("reach --cluster {file} -o json"));
        assert_eq!(run.exit, 0, "{}", run.stderr);
        run.stdout
    });
    assert_eq!(json, yaml);
    assert!(!json.is_empty());
    // A link stays a link, and what is no file is written to.
    std::os::unix::fs::symlink("dump.json", directory.path().join("link.json")).unwrap();
    assert_eq!(snapshot(directory.path(), "link.json").exit, 0);
    assert!(fs::symlink_metadata(directory.path().join("link.json")).unwrap().is_symlink());
    assert_eq!(snapshot(directory.path(), "/dev/null").exit, 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let stdout = run(directory.path(), "snapshot --kubeconfig config --format yaml -q");
    assert_eq!(without_time(&stdout.stdout), without_time(&read(directory.path(), "dump.yaml")));
    assert_eq!(stdout.stderr, "");
}

#[test]
fn only_some_namespaces() {
    let mut store = store();
    let mut elsewhere = store.objects[0].clone();
    (elsewhere["metadata"]["namespace"], elsewhere["metadata"]["name"]) = ("bank".into(), "teller".into());
    store.objects.push(elsewhere);
    let server = FakeApi::of(store);
    let directory = at(&server);
    let run = run(directory.path(), "snapshot --kubeconfig config -n bank");
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert_eq!(names(&run.stdout), ["Namespace shop", "Node a", "Pod teller"]);
}

/// What the server answers once, whether the snapshot is complete after it, and why.
#[test]
fn what_passes_is_asked_again() {
    let second = |asked: &Asked| asked.path == "/api/v1/pods" && asked.query.contains_key("continue");
    let first = |asked: &Asked| asked.path == "/api/v1/pods" && !asked.query.contains_key("continue");
    type Fault = (fn(usize) -> Answer, bool, &'static str);
    let faults: [Fault; 5] = [
        (|_| failure(410, "Expired", "The provided continue parameter is too old"), true, "an expired page"),
        (|_| failure(429, "TooManyRequests", "slow down"), false, "too many requests"),
        (|_| failure(503, "ServiceUnavailable", "etcd is electing"), true, "unavailable"),
        (|_| Answer::Cut(b"{\"items\": [".to_vec()), true, "a connection that breaks"),
        (|_| failure(500, "InternalError", "etcd"), false, "an internal error"),
    ];
    for (fault, at_second, shows) in faults {
        let store = store();
        let server = FakeApi::start(move |asked, before| {
            let here = if at_second { second(asked) } else { first(asked) };
            if here && before == 0 { fault(before) } else { store.answer(asked) }
        });
        let directory = at(&server);
        let run = run(directory.path(), "snapshot --kubeconfig config");
        assert_eq!(run.exit, 0, "{shows}: {}", run.stderr);
        assert_eq!(names(&run.stdout).len(), ALL.len(), "{shows}");
    }
}

/// A token that always expires: after some attempts the list is read as a whole.
#[test]
fn pages_that_always_expire() {
    let store = store();
    let server = FakeApi::start(move |asked, _| match asked.query.contains_key("continue") {
        true => failure(410, "Expired", "The provided continue parameter is too old"),
        false => store.answer(asked),
    });
    let directory = at(&server);
    let run = run(directory.path(), "snapshot --kubeconfig config");
    assert_eq!((run.exit, names(&run.stdout).len()), (0, ALL.len()), "{}", run.stderr);
    let whole =
        server.asked().into_iter().filter(|asked| asked.path == "/api/v1/pods" && !asked.query.contains_key("limit"));
    assert_eq!(whole.count(), 1);
}

#[test]
fn what_is_forbidden_is_named() {
    let store = store();
    let server = FakeApi::start(move |asked, _| match asked.path.as_str() {
        "/api/v1/nodes" => failure(
            403,
            "Forbidden",
            "nodes is forbidden: User \"dev\" cannot list resource \"nodes\" in API group \"\"",
        ),
        _ => store.answer(asked),
    });
    let directory = at(&server);
    let taken = snapshot(directory.path(), "dump.json");
    assert_eq!(taken.exit, 2);
    assert!(taken.stderr.contains("warning: context fake"), "{}", taken.stderr);
    assert!(taken.stderr.contains("): dev may not list nodes\n"), "{}", taken.stderr);
    assert_eq!(names(&read(directory.path(), "dump.json")).len(), ALL.len() - 1, "the rest is written");
    let live = run(directory.path(), "reach --kubeconfig config -o json");
    assert_eq!(live.exit, 2);
    assert!(
        live.stderr.contains("error[cluster]: context fake") && live.stderr.contains("may not list nodes"),
        "{}",
        live.stderr
    );
}

#[test]
fn servers_that_do_not_answer() {
    let refused = FakeApi::start(|_, _| failure(401, "Unauthorized", "Unauthorized"));
    let nonsense = FakeApi::start(|_, _| Answer::Bytes(b"<html>welcome</html>".to_vec()));
    let closed = {
        // Nobody listens where somebody did.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (url, words) in [
        (refused.url.as_str(), &["does not accept the credentials", "log in"][..]),
        (nonsense.url.as_str(), &["not an answer of an API server"]),
        (closed.as_str(), &["cannot be reached", "onnection refused"]),
    ] {
        let directory = directory(&[("config", kubeconfig(url).into_bytes()), ("dump.json", b"before".to_vec())]);
        let start = Instant::now();
        let run = snapshot(directory.path(), "dump.json");
        assert_eq!(run.exit, 2);
        for word in words.iter().chain(&["context fake", url]) {
            assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
        }
        assert!(start.elapsed().as_secs() < 20, "{}", start.elapsed().as_secs());
        assert_eq!(read(directory.path(), "dump.json"), "before", "nothing replaces what was there");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4, "and no temporary file stays");
    }
}

/// Every command reads the live cluster as it reads a snapshot of it.
#[test]
fn live_is_like_a_snapshot() {
    let server = FakeApi::of(store());
    let directory = at(&server);
    assert_eq!(snapshot(directory.path(), "dump.json").exit, 0);
    for command in [
        "flows --pcap traffic.pcap -o json",
        "generate --pcap traffic.pcap",
        "check --pcap traffic.pcap -o json",
        "unused --pcap traffic.pcap -o json",
        "reach -o json",
        "explain shop/web shop/api:8080",
        "lint -o json",
        "diff dump.json dump.json -o json",
    ] {
        let [file, live] = ["--cluster dump.json", "--kubeconfig config --context fake"]
            .map(|cluster| run(directory.path(), &format!("{command} {cluster}")));
        let name = format!("context fake ({})", server.url);
        assert_eq!(live.stdout.replace(&name, "dump.json"), file.stdout, "{command}: {}", live.stderr);
        assert_eq!(live.exit, file.exit, "{command}");
        assert!(live.stderr.contains(&format!("{name}: 7 objects\n")), "{command}: {}", live.stderr);
    }
    assert!(run(directory.path(), "flows --pcap traffic.pcap -o json").stdout.contains("\"external\""));
}

#[test]
fn which_cluster() {
    let server = FakeApi::of(store());
    let directory = at(&server);
    let with = |args: &str, kubeconfig: &str| {
        let output =
            crate::program::command(directory.path()).args(args.split(' ')).env("KUBECONFIG", kubeconfig).output();
        let output = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { exit: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    // As kubectl does: the current context where nothing is said, and files that are not there are passed over.
    for kubeconfig in ["config", "gone:config"] {
        let run = with("generate --pcap traffic.pcap", kubeconfig);
        assert_eq!(run.exit, 0, "{}", run.stderr);
        assert!(run.stdout.contains("name: web") && run.stderr.contains("context fake"), "{}", run.stderr);
    }
    // Analysts have no cluster: neither `flows` nor a dump asks for one.
    let asked = server.asked().len();
    assert_eq!(with("flows --pcap traffic.pcap", "config").exit, 0);
    assert_eq!(with("generate --pcap traffic.pcap --cluster cluster.yaml", "config").exit, 0);
    assert_eq!(server.asked().len(), asked);
    for (args, kubeconfig, words) in [
        ("generate --pcap traffic.pcap", "gone", &["--cluster", "KUBECONFIG"][..]),
        ("lint", "gone", &["nothing to read", "kubeconfig"]),
        ("snapshot", "gone", &["no kubeconfig", "--kubeconfig"]),
        ("snapshot --context nobody", "config", &["no context \"nobody\"", "fake, other"]),
        ("snapshot --context nobody", "gone", &["nobody", "no kubeconfig"]),
        ("snapshot --kubeconfig gone", "config", &["--kubeconfig gone", "No such file"]),
        ("snapshot", "cluster.yaml", &["no current context", "--context"]),
        ("snapshot", "traffic.pcap", &["kubeconfig traffic.pcap"]),
    ] {
        let run = with(args, kubeconfig);
        assert_eq!(run.exit, 2, "{args}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{args}: {word}: {}", run.stderr);
        }
    }
}

/// What each agent recorded is one log, and one that sends nonsense costs the others nothing.
#[test]
fn collected_logs_are_one() {
    let recorded = directory(&[]);
    let made = run(recorded.path(), "record --pcap traffic.pcap --log a.log");
    assert_eq!(made.exit, 0, "{}", made.stderr);
    let log = fs::read(recorded.path().join("a.log")).unwrap();
    let pod = |name: &str, node: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "ringfence", "name": name,
               "labels": {"app.kubernetes.io/name": "ringfence"}}, "spec": {"nodeName": node}, "status": {"phase": "Running"}})
    };
    let store = Store::new(vec![pod("r-1", "a"), pod("r-2", "b"), pod("r-3", "c")]);
    let server = FakeApi::start(move |asked, _| match asked.path.as_str() {
        "/api/v1/namespaces/ringfence/pods/r-1:9753/proxy/log" => Answer::Bytes(log.clone()),
        "/api/v1/namespaces/ringfence/pods/r-2:9753/proxy/log" => Answer::Bytes(log.clone()),
        "/api/v1/namespaces/ringfence/pods/r-3:9753/proxy/log" => Answer::Bytes(b"<html>welcome</html>".to_vec()),
        _ => store.answer(asked),
    });
    let directory = at(&server);
    let collected = run(directory.path(), "collect --kubeconfig config -o all.log");
    assert_eq!(collected.exit, 2, "{}", collected.stderr);
    let words = ["error: node c (r-3): it sent no flow log that can be read", "flow logs of 2 of 3 agents in all.log"];
    for words in words {
        assert!(collected.stderr.contains(words), "{words}: {}", collected.stderr);
    }
    let flows = |input: &str| {
        let run = run(directory.path(), &format!("flows {input} -o json"));
        assert_eq!(run.exit, 0, "{}", run.stderr);
        run.stdout
    };
    assert_eq!(flows("--log all.log"), flows("--pcap traffic.pcap"), "the same log twice counts once");
}

/// Without an agent to ask, `collect` says so and leaves what is there alone; the rest is in `cli/src/collect/tests.rs`.
#[test]
fn collect_without_agents() {
    let server = FakeApi::of(store());
    let directory = at(&server);
    let run = run(directory.path(), "collect --kubeconfig config -o all.log");
    assert_eq!(run.exit, 2);
    for words in ["context fake", "no pod in namespace ringfence", "app.kubernetes.io/name=ringfence"] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "no directory stays behind");
    assert!(crate::program::run(directory.path(), "collect --kubeconfig config -o -").stderr.contains("not a stream"));
}
