//! A server that answers as an API server would, as far as a test says: lists in pages, watches, and what goes wrong.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub accept: String,
}

/// What comes back.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a body.
    Json(u16, Value),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Bytes, and then the connection breaks.
    Cut(Vec<u8>),
    /// Lines, each some time after the one before, and then the end; a watch.
    Lines(Vec<(Duration, Value)>),
}

/// `metav1.Status` of a failure.
pub fn failure(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                        "reason": reason, "code": code});
    Answer::Json(code, status)
}

/// A running server; it ends with the test.
pub struct FakeApi {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl FakeApi {
    /// `answer` is told the request, and how often the same was asked before.
    pub fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> FakeApi {
        FakeApi::start_at("127.0.0.1", answer)
    }

    /// The same on another address of this machine.
    pub fn start_at(address: &str, answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> FakeApi {
        let listener = TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (log, answer) = (asked.clone(), Arc::new(answer));
        let handler = move |request: Request| {
            let query = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            let accept = request.headers().get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let asked = Asked {
                path: request.uri().path().to_string(),
                query: query
                    .map(|(key, value)| (key.to_string(), value.replace("%3D", "=").replace("%2F", "/")))
                    .collect(),
                accept: accept.to_string(),
            };
            let before = {
                let mut log = log.lock().unwrap();
                let before = log.iter().filter(|known| **known == asked).count();
                log.push(asked.clone());
                before
            };
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(respond(answer(&asked, before))) }
        };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(handler);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        FakeApi { url, asked, stop: Some(stop) }
    }

    /// One that holds objects and speaks of nothing else.
    pub fn of(store: Store) -> FakeApi {
        FakeApi::start(move |asked, _| store.answer(asked))
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Writes a kubeconfig with two contexts, of which `fake` is the current one and this server.
    pub fn kubeconfig(&self, file: &Path) {
        fs::write(file, kubeconfig(&self.url)).unwrap();
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }
}

/// A kubeconfig for a server.
pub fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: fake\nclusters:\n- name: c\n  cluster: {{server: '{url}'}}\n\
         users:\n- name: u\n  user: {{token: t}}\ncontexts:\n- name: fake\n  context: {{cluster: c, user: u}}\n\
         - name: other\n  context: {{cluster: c, user: u}}\n"
    )
}

fn respond(answer: Answer) -> Response {
    let response = Response::builder().header("content-type", "application/json");
    let response = match answer {
        Answer::Json(code, body) => {
            response.status(StatusCode::from_u16(code).unwrap()).body(Body::from(body.to_string()))
        }
        Answer::Bytes(bytes) => response.body(Body::from(bytes)),
        Answer::Cut(bytes) => {
            let parts = [Ok(bytes), Err(std::io::Error::other("cut"))];
            response.body(Body::from_stream(stream::iter(parts)))
        }
        Answer::Lines(lines) => {
            let lines = stream::iter(lines).then(|(pause, line)| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, Infallible>(format!("{line}\n"))
            });
            response.body(Body::from_stream(lines))
        }
    };
    response.unwrap()
}

/// Objects, and how many of them a page holds at most.
#[derive(Debug, Clone)]
pub struct Store {
    pub objects: Vec<Value>,
    pub page: usize,
}

/// Groups that every server has.
const GROUPS: [&str; 7] = [
    "apps",
    "batch",
    "discovery.k8s.io",
    "networking.k8s.io",
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "apiextensions.k8s.io",
];

impl Store {
    pub fn new(objects: Vec<Value>) -> Store {
        Store { objects, page: 2 }
    }

    /// Lists and discovery; what it does not have is not found.
    pub fn answer(&self, asked: &Asked) -> Answer {
        let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["apis"] => self.groups(),
            ["apis", group, version] => self.resources(&format!("{group}/{version}")),
            ["api", "v1", rest @ ..] => self.list("v1", rest, asked),
            ["apis", group, version, rest @ ..] => self.list(&format!("{group}/{version}"), rest, asked),
            _ => failure(404, "NotFound", "404 page not found"),
        }
    }

    fn versions(&self) -> Vec<String> {
        let own = self.objects.iter().map(|object| object["apiVersion"].as_str().unwrap().to_string());
        let mut versions: Vec<String> = own.filter(|version| version.contains('/')).collect();
        versions.extend(GROUPS.map(|group| format!("{group}/v1")));
        versions.sort();
        versions.dedup();
        versions
    }

    fn groups(&self) -> Answer {
        let group = |version: String| {
            let (group, number) = version.split_once('/').unwrap();
            let one = json!({"groupVersion": version, "version": number});
            json!({"name": group, "versions": [one], "preferredVersion": one})
        };
        let groups: Vec<Value> = self.versions().into_iter().map(group).collect();
        Answer::Json(200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
    }

    fn resources(&self, version: &str) -> Answer {
        let of_version = self.objects.iter().filter(|object| object["apiVersion"] == version);
        let resource = |object: &Value| json!({"name": plural(object), "singularName": "", "namespaced": true, "kind": object["kind"], "verbs": ["list"]});
        let resources: Vec<Value> = of_version.map(resource).collect();
        let list =
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources});
        Answer::Json(200, list)
    }

    fn list(&self, version: &str, rest: &[&str], asked: &Asked) -> Answer {
        let (namespace, name) = match rest {
            [name] => (None, name),
            ["namespaces", namespace, name] => (Some(*namespace), name),
            _ => return failure(404, "NotFound", "404 page not found"),
        };
        if version.contains('/') && !self.versions().iter().any(|known| known == version) {
            return failure(404, "NotFound", "404 page not found");
        }
        let fits = |object: &&Value| {
            let here = namespace.is_none_or(|namespace| object["metadata"]["namespace"] == namespace);
            let labels = asked.query.get("labelSelector").and_then(|text| text.split_once('='));
            let chosen = labels.is_none_or(|(key, value)| object["metadata"]["labels"][key] == value);
            object["apiVersion"] == version && plural(object) == *name && here && chosen
        };
        let items: Vec<&Value> = self.objects.iter().filter(fits).collect();
        let number = |key: &str| asked.query.get(key).and_then(|text| text.parse::<usize>().ok());
        let from = number("continue").unwrap_or(0);
        let to = (from + number("limit").map_or(items.len(), |limit| limit.min(self.page))).min(items.len());
        let mut metadata = json!({"resourceVersion": "100"});
        if to < items.len() {
            metadata["continue"] = to.to_string().into();
        }
        let page: Vec<Value> = items[from..to].iter().map(|object| part(object, &asked.accept)).collect();
        Answer::Json(200, json!({"kind": "List", "apiVersion": version, "metadata": metadata, "items": page}))
    }
}

/// Items of a list do not name their kind, and of partial ones only the metadata is there.
fn part(object: &Value, accept: &str) -> Value {
    if accept.contains("as=PartialObjectMetadataList") {
        return json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    }
    let mut item = object.clone();
    item.as_object_mut().unwrap().retain(|key, _| key != "apiVersion" && key != "kind");
    item
}

fn plural(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap().to_lowercase();
    kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |start| format!("{start}ies"))
}
