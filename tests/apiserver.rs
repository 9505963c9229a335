//! A real API server: `tests/apiserver/start` runs etcd and kube-apiserver, [`Server`] talks to them.
//!
//! There is one for all tests of this binary ([`server`]), and every test has namespaces of its own in it; a test that
//! stops and restarts it makes another ([`Server::start`]). `start` ends when its standard input does, and that is when
//! this process ends, however it does: nothing outlives a failed test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use axum::body::to_bytes;
use axum::http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// What `start` ends with where it lacks a program.
const CANNOT_RUN: i32 = 3;

/// The kinds that belong to no namespace.
const CLUSTER_WIDE: [&str; 6] =
    ["Namespace", "Node", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass"];

/// The server of this test binary; `None`, and one line that says so, where there is none.
pub fn server(tests: &str) -> Option<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(|| Server::start(&[])) {
        Ok(server) => Some(server),
        Err(why) => {
            crate::shared::skipped(tests, why);
            None
        }
    }
}

/// A running API server with RBAC on.
pub struct Server {
    folder: PathBuf,
    process: Mutex<Process>,
}

/// `start`: words in, words out.
struct Process {
    /// Held for its end: a child whose input is closed stops what it started.
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server on loopback or, for clients in other network namespaces, on all addresses with a certificate
    /// that names these. The error says in one line why it cannot run here.
    pub fn start(addresses: &[&str]) -> Result<Server, String> {
        let folder = tempfile::Builder::new().prefix("ringfence-apiserver-").tempdir().unwrap().keep();
        let mut child = Command::new("bash")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/apiserver/start"))
            .arg(&folder)
            .args(addresses)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        if read_word(&mut answers) != "ready" {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            let ended = child.wait().unwrap();
            let _ = fs::remove_dir_all(&folder);
            assert_eq!(ended.code(), Some(CANNOT_RUN), "the API server does not start: {stderr}");
            return Err(stderr.trim_end().to_string());
        }
        let words = child.stdin.take();
        Ok(Server { folder, process: Mutex::new(Process { child, words, answers }) })
    }

    /// Ends the API server and keeps what it stored.
    pub fn stop(&self) {
        self.say("stop", "stopped");
    }

    /// Brings it back.
    pub fn restart(&self) {
        self.say("start", "ready");
    }

    fn say(&self, word: &str, answer: &str) {
        let mut process = self.process.lock().unwrap();
        writeln!(process.words.as_mut().unwrap(), "{word}").unwrap();
        assert_eq!(read_word(&mut process.answers), answer, "after {word}");
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.number("port")
    }

    /// The port of etcd's clients, without TLS, on loopback.
    pub fn etcd_port(&self) -> u16 {
        self.number("etcd-port")
    }

    fn number(&self, file: &str) -> u16 {
        fs::read_to_string(self.folder.join(file)).unwrap().trim().parse().unwrap()
    }

    /// Forgets every version of every object but the last, as an API server has etcd do every five minutes. One that runs
    /// may still know more; after [`Server::restart`] it does not.
    pub fn compact(&self) {
        let status = self.etcd("/v3/maintenance/status", &json!({}));
        self.etcd("/v3/kv/compaction", &json!({"revision": status["header"]["revision"], "physical": true}));
    }

    /// A call of etcd's gateway (JSON over HTTP).
    fn etcd(&self, path: &str, call: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.etcd_port())).unwrap();
        let call = call.to_string();
        let head = format!("POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}", call.len());
        write!(stream, "{head}\r\n\r\n{call}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 OK"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    /// Somebody who may do everything.
    pub fn admin(&self) -> Caller {
        Caller { kubeconfig: self.folder.join("kubeconfig") }
    }

    /// A ServiceAccount, with a token that the server has just made (TokenRequest API) and that lasts an hour.
    pub fn account(&self, namespace: &str, name: &str) -> Caller {
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let answer = self.admin().create(&path, &request).expect_status(201);
        self.bearer(answer["status"]["token"].as_str().unwrap())
    }

    /// Whoever holds this token.
    pub fn bearer(&self, token: &str) -> Caller {
        let ca = self.folder.join("ca.crt");
        let server = format!("https://127.0.0.1:{}", self.port());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority": ca}}],
            "users": [{"name": "bearer", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "bearer"}}],
        });
        let file = tempfile::Builder::new().prefix("kubeconfig-").tempfile_in(&self.folder).unwrap();
        fs::write(file.path(), config.to_string()).unwrap();
        Caller { kubeconfig: file.keep().unwrap().1 }
    }

    /// Makes the objects of a text of YAML documents as an admin, with their status; namespaces that it does not have are
    /// made too. What only a server may say of an object is left out.
    pub fn apply(&self, text: &str) {
        for mut object in documents(text) {
            let path = path_of(&object);
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                self.namespace(namespace);
            }
            let status = object.as_object_mut().unwrap().remove("status");
            for field in ["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "managedFields"] {
                object["metadata"].as_object_mut().unwrap().remove(field);
            }
            let answer = self.admin().create(&path, &object);
            // A namespace may have come with an object in it.
            assert!(answer.status == 201 || answer.status == 409 && object["kind"] == "Namespace", "{answer:?}");
            if let (Some(status), "Node" | "Pod" | "Service") = (status, object["kind"].as_str().unwrap()) {
                let path = format!("{path}/{}/status", object["metadata"]["name"].as_str().unwrap());
                self.admin().patch(&path, &json!({"status": status})).expect_status(200);
            }
        }
    }

    /// Makes a namespace, unless it is there.
    pub fn namespace(&self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let answer = self.admin().create("/api/v1/namespaces", &object);
        assert!(matches!(answer.status, 201 | 409), "{answer:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut() {
            process.words = None;
            let _ = process.child.wait();
        }
    }
}

/// The next line, without its end; empty at the end.
fn read_word(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line.trim_end().to_string()
}

/// Somebody whom the API server knows, or not.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What the program gets as `KUBECONFIG`.
    pub kubeconfig: PathBuf,
}

/// What the API server said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    /// The object, where the status is as expected.
    pub fn expect_status(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Caller {
    pub fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "application/json", String::new())
    }

    pub fn create(&self, path: &str, object: &Value) -> Answer {
        self.ask(Method::POST, path, "application/json", object.to_string())
    }

    /// As `create`, with the bytes as they are.
    pub fn create_yaml(&self, path: &str, text: &str) -> Answer {
        self.ask(Method::POST, path, "application/yaml", text.to_string())
    }

    /// A merge patch (RFC 7386).
    pub fn patch(&self, path: &str, change: &Value) -> Answer {
        self.ask(Method::PATCH, path, "application/merge-patch+json", change.to_string())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, "application/json", String::new())
    }

    fn ask(&self, method: Method, path: &str, form: &str, body: String) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).unwrap();
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", form)
                .header("accept", "application/json, */*")
                .body(Body::from(body.into_bytes()))
                .unwrap();
            let response = Client::try_from(config).unwrap().send(request).await.unwrap();
            let status = response.status().as_u16();
            let bytes = to_bytes(axum::body::Body::new(response.into_body()), usize::MAX).await.unwrap();
            Answer { status, text: String::from_utf8(bytes.to_vec()).unwrap() }
        })
    }
}

/// The objects of a text of YAML documents, and of the lists among them.
pub fn documents(text: &str) -> Vec<Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let objects = objects.into_iter().filter(|object| !object.is_null());
    objects
        .flat_map(|mut object| match object.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => vec![object],
        })
        .collect()
}

/// Where objects of this kind and namespace are created.
pub fn path_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{object}")).to_string();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let root = if version.contains('/') { "apis" } else { "api" };
    let lower = kind.to_lowercase();
    let resource = match lower.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if lower == "endpoints" => lower,
        None if lower.ends_with("ss") => format!("{lower}es"),
        None => format!("{lower}s"),
    };
    if CLUSTER_WIDE.contains(&kind.as_str()) {
        return format!("/{root}/{version}/{resource}");
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    format!("/{root}/{version}/namespaces/{namespace}/{resource}")
}
