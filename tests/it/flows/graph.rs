//! A workflow file of Dify as a graph, and what would keep it from running.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// The identifier under which the examples expect the server in Dify.
pub(super) const IDENTIFIER: &str = "capcut";

pub(super) struct Node {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) data: Value,
    /// The iteration that it is in.
    parent: Option<String>,
}

pub(super) struct Edge {
    pub(super) id: String,
    source: String,
    pub(super) handle: String,
    pub(super) target: String,
    whole: Value,
}

pub(super) struct Flow {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// A file of `examples`, as text.
pub(super) fn example(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(value: &Value) -> String {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is a text"));
    text.to_owned()
}

impl Flow {
    /// Reads a workflow file of Dify.
    pub(super) fn read(yaml: &str) -> Self {
        let file: Value = serde_saphyr::from_str(yaml).expect("YAML");
        assert_eq!(file["kind"], "app");
        assert_eq!(file["app"]["mode"], "workflow");
        let version = text(&file["version"]);
        assert!(
            ["0.5.0", "0.6.0", "0.7.0"].contains(&&*version),
            "{version}"
        );
        let graph = &file["workflow"]["graph"];
        let nodes = graph["nodes"].as_array().expect("nodes").iter();
        let edges = graph["edges"].as_array().expect("edges").iter();
        Self {
            nodes: nodes
                .map(|node| Node {
                    id: text(&node["id"]),
                    kind: text(&node["data"]["type"]),
                    data: node["data"].clone(),
                    parent: node.get("parentId").map(text),
                })
                .collect(),
            edges: edges
                .map(|edge| Edge {
                    id: text(&edge["id"]),
                    source: text(&edge["source"]),
                    handle: text(&edge["sourceHandle"]),
                    target: text(&edge["target"]),
                    whole: edge.clone(),
                })
                .collect(),
        }
    }

    fn find(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    pub(super) fn node(&self, id: &str) -> &Node {
        self.find(id)
            .unwrap_or_else(|| panic!("there is no node {id}"))
    }

    pub(super) fn nodes_of(&self, kind: &str) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.kind == kind)
    }

    pub(super) fn edges_from(&self, id: &str) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.source == id)
    }

    pub(super) fn edges_to(&self, id: &str) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.target == id)
    }

    /// Everything that would keep this workflow from running with these tools.
    pub(super) fn faults(&self, tools: &BTreeMap<String, Value>) -> Vec<String> {
        let mut faults = Vec::new();
        let ids: BTreeSet<_> = self.nodes.iter().map(|node| &node.id).collect();
        if ids.len() != self.nodes.len() {
            faults.push("two nodes have the same id".to_owned());
        }
        let edge_ids: BTreeSet<_> = self.edges.iter().map(|edge| &edge.id).collect();
        if edge_ids.len() != self.edges.len() {
            faults.push("two edges have the same id".to_owned());
        }
        for edge in &self.edges {
            self.check_edge(edge, &mut faults);
        }
        for node in &self.nodes {
            self.check_handles(node, &mut faults);
            self.check_selectors(node, tools, &mut faults);
            if node.kind == "tool" {
                check_tool(node, tools, &mut faults);
            }
        }
        faults
    }

    fn check_edge(&self, edge: &Edge, faults: &mut Vec<String>) {
        let (Some(source), Some(target)) = (self.find(&edge.source), self.find(&edge.target))
        else {
            faults.push(format!("edge {}: a node is missing", edge.id));
            return;
        };
        if !handles(source).contains(&edge.handle) || edge.whole["targetHandle"] != "target" {
            faults.push(format!("edge {}: no such handle", edge.id));
        }
        let data = &edge.whole["data"];
        if data["sourceType"] != source.kind || data["targetType"] != target.kind {
            faults.push(format!("edge {}: wrong types", edge.id));
        }
        let marked = data.get("iteration_id").map(text);
        if source.parent != target.parent
            || marked != source.parent
            || data["isInIteration"] != source.parent.is_some()
        {
            faults.push(format!("edge {}: crosses an iteration", edge.id));
        }
    }

    fn check_handles(&self, node: &Node, faults: &mut Vec<String>) {
        if node.parent.as_ref().is_some_and(|parent| {
            self.find(parent)
                .is_none_or(|parent| parent.kind != "iteration")
                || (node.kind != "iteration-start" && node.data["iteration_id"] != **parent)
        }) {
            faults.push(format!("{}: its iteration is missing", node.id));
        }
        let is_last = self.nodes_of("iteration").any(|iteration| {
            iteration.data["output_selector"][0] == node.id
                && node.parent.as_ref() == Some(&iteration.id)
        });
        let used: BTreeSet<_> = self.edges_from(&node.id).map(|edge| &edge.handle).collect();
        for handle in handles(node) {
            if !is_last && !used.contains(&handle) {
                faults.push(format!("{}: nothing follows {handle}", node.id));
            }
        }
        let starts = ["start", "iteration-start"].contains(&&*node.kind);
        if !starts && self.edges_to(&node.id).next().is_none() {
            faults.push(format!("{}: nothing leads to it", node.id));
        }
    }

    /// Every node that runs before this one, of its level and of those around it.
    fn before<'a>(&'a self, node: &'a Node) -> BTreeSet<&'a str> {
        let mut before = BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let sources = self.edges_to(&node.id).map(|edge| &*edge.source);
            for id in sources.chain(node.parent.as_deref()) {
                if before.insert(id)
                    && let Some(found) = self.find(id)
                {
                    open.push(found);
                }
            }
        }
        before
    }

    fn check_selectors(
        &self,
        node: &Node,
        tools: &BTreeMap<String, Value>,
        faults: &mut Vec<String>,
    ) {
        let mut selectors = Vec::new();
        collect_selectors(&node.data, &mut selectors);
        let before = self.before(node);
        for selector in selectors {
            let [source, variable, ..] = &*selector else {
                faults.push(format!("{}: {selector:?} is too short", node.id));
                continue;
            };
            let inner = self
                .find(source)
                .and_then(|source| source.parent.as_deref());
            // An iteration reads its result from a node in it; everything else reads from what ran before.
            let is_own = node.kind == "iteration" && inner == Some(&*node.id);
            let is_around = node.parent.as_ref() == Some(source);
            let is_known = self
                .find(source)
                .is_some_and(|source| outputs(source, is_around, tools).contains(variable));
            let is_hidden = inner.is_some() && inner != node.parent.as_deref();
            if !is_known || (!is_own && (is_hidden || !before.contains(&**source))) {
                faults.push(format!("{}: {selector:?} is no output before it", node.id));
            }
        }
    }
}

/// The handles at which a run can leave a node.
fn handles(node: &Node) -> Vec<String> {
    match node.kind.as_str() {
        "end" => Vec::new(),
        "if-else" => {
            let cases = node.data["cases"].as_array().expect("cases").iter();
            let cases = cases.map(|case| text(&case["case_id"]));
            cases.chain(["false".to_owned()]).collect()
        }
        _ => vec!["source".to_owned()],
    }
}

/// The names of a node's variables, as its own nodes see them or as those after it do.
fn outputs(node: &Node, from_inside: bool, tools: &BTreeMap<String, Value>) -> Vec<String> {
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object();
        object
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    let fixed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match node.kind.as_str() {
        "start" => {
            let variables = node.data["variables"].as_array().expect("variables");
            variables
                .iter()
                .map(|variable| text(&variable["variable"]))
                .collect()
        }
        "code" => keys(&node.data["outputs"]),
        "iteration" if from_inside => fixed(&["item", "index"]),
        "iteration" => fixed(&["output"]),
        "tool" => {
            let mut names: Vec<String> = fixed(&["text", "json", "files"]);
            if let Some(tool) = tools.get(&text(&node.data["tool_name"])) {
                names.extend(keys(&tool["outputSchema"]["properties"]));
            }
            names
        }
        _ => Vec::new(),
    }
}

fn collect_selectors(value: &Value, selectors: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let is_variable =
                    key == "value" && object.get("type").is_some_and(|t| t == "variable");
                if key.ends_with("selector") || is_variable {
                    let path = inner.as_array().expect("a selector");
                    selectors.push(path.iter().map(text).collect());
                } else {
                    collect_selectors(inner, selectors);
                }
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|inner| collect_selectors(inner, selectors)),
        _ => {}
    }
}

fn check_tool(node: &Node, tools: &BTreeMap<String, Value>, faults: &mut Vec<String>) {
    let id = &node.id;
    if node.data["provider_type"] != "mcp" || node.data["provider_id"] != IDENTIFIER {
        faults.push(format!("{id}: not a tool of the server {IDENTIFIER}"));
    }
    let name = text(&node.data["tool_name"]);
    let Some(tool) = tools.get(&name) else {
        faults.push(format!("{id}: there is no tool {name}"));
        return;
    };
    let given = node.data["tool_parameters"]
        .as_object()
        .expect("parameters");
    for parameter in given.keys() {
        if tool["inputSchema"]["properties"].get(parameter).is_none() {
            faults.push(format!("{id}: {name} has no parameter {parameter}"));
        }
    }
    for required in tool["inputSchema"]["required"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if !given.contains_key(&text(required)) {
            faults.push(format!("{id}: {name} needs {required}"));
        }
    }
    let retry = &node.data["retry_config"];
    // The limits of Dify's editor.
    let is_small = |key: &str, most: u64| retry[key].as_u64().is_some_and(|number| number <= most);
    let is_allowed = is_small("max_retries", 10) && is_small("retry_interval", 5000);
    if !retry.is_null() && !is_allowed {
        faults.push(format!(
            "{id}: more retries, or longer pauses, than Dify takes"
        ));
    }
}
