//! The API server takes what `generate` writes, and the server of these tests is one to be believed.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;

use serde_json::json;

use crate::apiserver::{Server, documents, path_of, server};
use crate::packets::{ETHERNET, pcap};
use crate::program::run;
use crate::transcripts::folders;
use crate::{recordings, shared, traffic};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases");

/// Nothing is stored, and a field or a value that the server does not know is an error.
const STRICT_DRY_RUN: &str = "dryRun=All&fieldValidation=Strict";

/// What the server has against the policies of an output of `generate`, and how many it was asked about.
fn refused(server: &Server, origin: &str, printed: &str, wrong: &mut String) -> usize {
    let texts: Vec<&str> = printed.split("---\n").filter(|text| !text.trim().is_empty()).collect();
    for text in &texts {
        let [policy] = documents(text).try_into().unwrap();
        server.namespace(policy["metadata"]["namespace"].as_str().unwrap());
        let answer = server.admin().create_yaml(&format!("{}?{STRICT_DRY_RUN}", path_of(&policy)), text);
        if answer.status != 201 {
            writeln!(wrong, "{origin}: {} {}\n{text}", answer.status, answer.text).unwrap();
        }
    }
    texts.len()
}

#[test]
fn generated_policies_are_accepted() {
    let Some(server) = server("API server") else { return };
    let (mut asked, mut wrong) = (0, String::new());
    for case in folders(Path::new(CASES)) {
        let work = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&case).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            fs::copy(&entry, work.path().join(entry.file_name().unwrap())).unwrap();
        }
        let script = fs::read_to_string(case.join("traffic.txt")).unwrap();
        fs::write(work.path().join("traffic.pcap"), pcap(ETHERNET, &traffic::frames(&script))).unwrap();
        let args =
            "generate -q --default-deny --dns-for-all --allow-metadata --pcap traffic.pcap --cluster cluster.yaml";
        let generated = run(work.path(), args);
        asked += refused(server, &case.display().to_string(), &generated.stdout, &mut wrong);
    }
    for recording in &recordings::RECORDINGS {
        asked += refused(server, recording.name, &recording.run("generate -q --default-deny").stdout, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(asked > 60, "{asked} policies");
}

/// Scenarios of the independent examiner have more ports, addresses and labels than cases written by hand.
#[test]
fn policies_of_made_up_clusters_are_accepted() {
    let Some(server) = server("API server") else { return };
    let program = match crate::examiner::examiner() {
        Ok(program) => program,
        Err(why) => return shared::skipped("API server, examiner", why),
    };
    let (mut asked, mut wrong) = (0, String::new());
    for kind in ["basic", "external", "labels", "portrange", "dualstack", "scale:40"] {
        let directory = tempfile::tempdir().unwrap();
        crate::examiner::ask(&program, directory.path(), &format!("make --kind {kind} --seed 3 --out ."));
        let input = crate::examiner::input(directory.path());
        let generated = run(directory.path(), &format!("generate -q --default-deny {input}"));
        asked += refused(server, kind, &generated.stdout, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(asked > 40, "{asked} policies");
}

/// Strict means strict: what a server would take in silence, or refuse, is refused here too.
#[test]
fn mistakes_are_refused() {
    let Some(server) = server("API server") else { return };
    server.namespace("mistakes");
    let path = format!("/apis/networking.k8s.io/v1/namespaces/mistakes/networkpolicies?{STRICT_DRY_RUN}");
    let policy = |spec: &str| {
        let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: mistakes}\n";
        server.admin().create_yaml(&path, &format!("{head}spec: {spec}\n"))
    };
    assert_eq!(policy("{podSelector: {}, policyTypes: [Ingress]}").status, 201);
    for (spec, word) in [
        ("{podSelector: {}, ingres: []}", "unknown field"),
        ("{podSelector: {}, podSelector: {}}", "already set"),
        ("{podSelector: {matchLabels: {enabled: yes}}}", "cannot unmarshal bool"),
        ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "must be between 1 and 65535"),
    ] {
        let answer = policy(spec);
        assert!(matches!(answer.status, 400 | 422) && answer.text.contains(word), "{spec}: {answer:?}");
    }
    assert!(server.admin().get("/apis/networking.k8s.io/v1/namespaces/mistakes/networkpolicies/x").status == 404);
}

#[test]
fn nobody_may_do_what_no_role_allows() {
    let Some(server) = server("API server") else { return };
    server.namespace("roles");
    assert_eq!(server.bearer("nobody").get("/api/v1/namespaces/roles/pods").status, 401);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}});
    server.admin().create("/api/v1/namespaces/roles/serviceaccounts", &account).expect_status(201);
    let reader = server.account("roles", "reader");
    let refused = reader.get("/api/v1/namespaces/roles/pods");
    assert!(refused.status == 403 && refused.text.contains("system:serviceaccount:roles:reader"), "{refused:?}");
    assert_eq!(reader.get("/version").expect_status(200)["major"], "1");
}

/// Objects are there with their status, as a kubelet and controllers would have left them.
#[test]
fn clusters_are_written_through_the_api() {
    let Some(server) = server("API server") else { return };
    server.apply(
        "{apiVersion: v1, kind: Node, metadata: {name: written-a}, spec: {podCIDR: 10.9.0.0/24},
          status: {addresses: [{type: InternalIP, address: 192.0.2.9}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: written, uid: not-mine, labels: {app: web}},
 spec: {nodeName: written-a, containers: [{name: web, image: web}]}, status: {phase: Running, podIP: 10.9.0.5, podIPs: [{ip: 10.9.0.5}]}}
",
    );
    let pods = server.admin().get("/api/v1/pods?fieldSelector=spec.nodeName%3Dwritten-a").expect_status(200);
    let pods = pods["items"].as_array().unwrap();
    let [pod] = pods.as_slice() else { panic!("{pods:?}") };
    assert_eq!((&pod["status"]["podIP"], &pod["status"]["phase"]), (&json!("10.9.0.5"), &json!("Running")));
    let node = server.admin().get("/api/v1/nodes/written-a").expect_status(200);
    assert_eq!(node["status"]["addresses"][0]["address"], "192.0.2.9");
}

/// The address with which this machine leaves it; none without a route. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

/// The API server dials the address in the status of a pod, as it does for `collect`, unless it is one of loopback.
#[test]
fn the_pod_proxy_dials_pods() {
    let Some(server) = server("API server") else { return };
    let Some(address) = own_address() else {
        return shared::skipped("API server, pod proxy", "this machine has no address but those of loopback");
    };
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 512];
        let length = stream.read(&mut asked).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nlog\n").unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    let pod = |name: &str, address: &str| {
        server.apply(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: proxied}}, spec: {{containers: [{{name: a, image: a}}]}},
              status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}}}"
        ));
        server.admin().get(&format!("/api/v1/namespaces/proxied/pods/{name}:{port}/proxy/log?since=1"))
    };
    let answer = pod("agent", &address.to_string());
    assert_eq!((answer.status, answer.text.as_str()), (200, "log\n"));
    let asked = answering.join().unwrap();
    assert!(asked.starts_with("GET /log?since=1 HTTP/1.1"), "{asked}");
    let refused = pod("loopback", "127.0.0.9");
    assert!(refused.status == 400 && refused.text.contains("address not allowed"), "{refused:?}");
}

/// What was stored is still there, and the port is the same, so that clients find the server again. After a compaction
/// nobody can watch from a version before it.
#[test]
fn it_comes_back_with_what_it_stored() {
    if server("API server").is_none() {
        return;
    }
    let server = Server::start(&[]).unwrap();
    let version = |path: &str| {
        let version = &server.admin().get(path).expect_status(200)["metadata"]["resourceVersion"];
        version.as_str().unwrap().to_string()
    };
    let before = version("/api/v1/namespaces");
    server.namespace("kept");
    let port = server.port();
    server.compact();
    server.stop();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpStream::connect(("127.0.0.1", server.etcd_port())).is_ok());
    server.restart();
    assert_eq!(server.port(), port);
    server.admin().get("/api/v1/namespaces/kept").expect_status(200);
    let after = version("/api/v1/namespaces");
    let watch = |from: &str| {
        let path = format!("/api/v1/namespaces?watch=true&timeoutSeconds=1&resourceVersion={from}");
        server.admin().get(&path)
    };
    let (expired, fine) = (watch(&before), watch(&after));
    assert!(expired.text.contains(r#""code":410"#), "{expired:?}");
    assert!(fine.status == 200 && !fine.text.contains("ERROR"), "{fine:?}");
}
