//! Dify's part in a workflow: its MCP client, and its interpreter for the nodes that the examples use.
//!
//! As in `api/core/mcp`, `api/core/tools/mcp_tool/tool.py` and the graph engine of Dify 1.15 to 1.17: each call is a
//! session of its own, `isError` is not looked at, and variables are the top-level keys of `structuredContent` of tools
//! with an output schema.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::graph::{Flow, Node};
use crate::support::McpOverHttp;

/// An MCP server as Dify has registered it.
pub(super) struct Registered {
    url: String,
    headers: Vec<(String, String)>,
    /// The tools as they were listed at the registration, by name.
    pub(super) tools: BTreeMap<String, Value>,
}

impl Registered {
    /// Registers a server: one `tools/list`, without a cursor, in a session of its own.
    pub(super) fn new(url: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut server = Self {
            url: url.to_owned(),
            headers: headers.collect(),
            tools: BTreeMap::new(),
        };
        let mut client = server.session();
        let listed = client.ask("tools/list", &json!({}));
        client.close();
        for tool in listed["result"]["tools"].as_array().expect("tools") {
            let name = tool["name"].as_str().expect("a name").to_owned();
            server.tools.insert(name, tool.clone());
        }
        server
    }

    fn session(&self) -> McpOverHttp {
        let mut client = McpOverHttp::new(&self.url);
        client.headers.clone_from(&self.headers);
        let initialized = client.ask(
            "initialize",
            &json!({ "protocolVersion": "2025-03-26",
                "capabilities": { "sampling": {}, "roots": { "listChanged": true } },
                "clientInfo": { "name": "Dify", "version": "1.17.0" } }),
        );
        let version = initialized["result"]["protocolVersion"].as_str();
        assert_eq!(version, Some("2025-03-26"), "{initialized}");
        client.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    /// Calls a tool; returns the variables of its node, or an error if Dify raises one.
    fn call(
        &self,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        let address = self.url.trim_start_matches("http://");
        TcpStream::connect(address).map_err(|e| format!("Failed to connect to MCP server: {e}"))?;
        let mut client = self.session();
        let result = client.result(tool, &json!(arguments));
        client.close();
        let mut texts = String::new();
        let mut objects = Vec::new();
        for content in result["content"].as_array().into_iter().flatten() {
            let text = content["text"].as_str().unwrap_or_default();
            match serde_json::from_str(text) {
                Ok(Value::Object(object)) => objects.push(Value::Object(object)),
                _ => texts.push_str(text),
            }
        }
        let mut outputs = Map::new();
        outputs.insert("text".to_owned(), json!(texts));
        outputs.insert("json".to_owned(), json!(objects));
        outputs.insert("files".to_owned(), json!([]));
        if self.tools[tool].get("outputSchema").is_some()
            && let Some(variables) = result["structuredContent"].as_object()
        {
            outputs.extend(variables.clone());
        }
        Ok(outputs)
    }
}

/// What a run of a workflow did.
#[derive(Debug)]
pub(super) struct Run {
    /// The id of the end node.
    pub(super) end: String,
    pub(super) outputs: Map<String, Value>,
    /// Every call that was sent, in order: the tool, and whether Dify got an answer.
    pub(super) calls: Vec<(String, bool)>,
    /// The variables of each run of a code node, in order.
    pub(super) codes: Vec<(String, Value)>,
}

type Pool = BTreeMap<String, Map<String, Value>>;

/// Runs a workflow with these inputs; an error is one that ends the workflow in Dify.
pub(super) fn run(flow: &Flow, server: &Registered, inputs: &Value) -> Result<Run, String> {
    let mut interpreter = Interpreter {
        flow,
        server,
        calls: Vec::new(),
        codes: Vec::new(),
    };
    let start = flow.nodes_of("start").next().expect("a start node");
    let mut pool = Pool::new();
    let mut given = Map::new();
    for variable in start.data["variables"].as_array().expect("inputs") {
        let name = variable["variable"].as_str().expect("a name");
        let value = inputs.get(name).unwrap_or(&variable["default"]);
        // An empty number has no value in Dify.
        let is_empty_number = variable["type"] == "number" && value == "";
        assert!(!value.is_null(), "{name} is not given");
        assert!(variable["required"] == false || value != "", "{name}");
        let value = if is_empty_number { &Value::Null } else { value };
        given.insert(name.to_owned(), value.clone());
    }
    pool.insert(start.id.clone(), given);
    let end = interpreter.walk(&start.id, &mut pool)?;
    let end = end.expect("the run reaches an end node");
    Ok(Run {
        outputs: pool.remove(&end).expect("its outputs"),
        end,
        calls: interpreter.calls,
        codes: interpreter.codes,
    })
}

struct Interpreter<'a> {
    flow: &'a Flow,
    server: &'a Registered,
    calls: Vec<(String, bool)>,
    codes: Vec<(String, Value)>,
}

impl Interpreter<'_> {
    /// Runs the nodes from this one, of its own level. A node runs when every edge to it is decided and one of them
    /// was taken; a node of which all edges were skipped is skipped. Returns the end node that was reached.
    fn walk(&mut self, start: &str, pool: &mut Pool) -> Result<Option<String>, String> {
        let mut taken: BTreeMap<&str, bool> = BTreeMap::new();
        let mut queue = VecDeque::from([(start.to_owned(), true)]);
        let mut end = None;
        while let Some((id, runs)) = queue.pop_front() {
            let node = self.flow.node(&id);
            let handle = if runs {
                Some(self.step(node, pool)?)
            } else {
                None
            };
            if runs && node.kind == "end" {
                end = Some(id.clone());
            }
            for edge in self.flow.edges_from(&id) {
                taken.insert(&edge.id, handle.as_deref() == Some(&edge.handle));
                let incoming: Vec<_> = self.flow.edges_to(&edge.target).collect();
                let decided = incoming.iter().filter_map(|edge| taken.get(&*edge.id));
                let decided: Vec<_> = decided.copied().collect();
                if decided.len() == incoming.len() {
                    queue.push_back((edge.target.clone(), decided.contains(&true)));
                }
            }
        }
        Ok(end)
    }

    /// Runs a node, with its retries; returns the handle at which the run continues.
    fn step(&mut self, node: &Node, pool: &mut Pool) -> Result<String, String> {
        let retry = &node.data["retry_config"];
        let retries = match retry["retry_enabled"] {
            Value::Bool(true) => retry["max_retries"].as_u64().expect("a number"),
            _ => 0,
        };
        let mut handle = "source".to_owned();
        let mut tries = 0;
        let outputs = loop {
            let outcome = match node.kind.as_str() {
                "start" | "iteration-start" => Ok(pool.remove(&node.id).unwrap_or_default()),
                "tool" => self.tool(node, pool),
                "code" => self.code(node, pool),
                "if-else" => {
                    handle = branch(node, pool);
                    Ok(Map::new())
                }
                "iteration" => self.iteration(node, pool),
                "end" => {
                    let outputs = node.data["outputs"].as_array().expect("outputs");
                    let values = outputs.iter().map(|output| {
                        let name = output["variable"].as_str().expect("a name");
                        (name.to_owned(), get(pool, &output["value_selector"]))
                    });
                    Ok(values.collect())
                }
                other => panic!("{}: {other} is not interpreted here", node.id),
            };
            match outcome {
                Ok(outputs) => break outputs,
                Err(message) if tries == retries => return Err(message),
                // Dify waits for `retry_interval` here.
                Err(_) => tries += 1,
            }
        };
        pool.insert(node.id.clone(), outputs);
        Ok(handle)
    }

    fn tool(&mut self, node: &Node, pool: &Pool) -> Result<Map<String, Value>, String> {
        let name = node.data["tool_name"].as_str().expect("a tool's name");
        let schema = &self.server.tools[name]["inputSchema"];
        let mut arguments = Map::new();
        for (parameter, given) in node.data["tool_parameters"]
            .as_object()
            .expect("parameters")
        {
            // Dify sends only parameters of the schema that it has stored.
            let kind = &schema["properties"][parameter]["type"];
            if kind.is_null() {
                continue;
            }
            let value = match given["type"].as_str() {
                Some("variable") => get(pool, &given["value"]),
                Some("constant") => given["value"].clone(),
                other => panic!("{}: a parameter of type {other:?}", node.id),
            };
            let value = cast(kind, value)?;
            let is_empty =
                value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
            if !is_empty {
                arguments.insert(parameter.clone(), value);
            }
        }
        let outcome = self.server.call(name, &arguments);
        self.calls.push((name.to_owned(), outcome.is_ok()));
        outcome
    }

    fn code(&mut self, node: &Node, pool: &Pool) -> Result<Map<String, Value>, String> {
        assert_eq!(node.data["code_language"], "python3", "{}", node.id);
        let variables = node.data["variables"].as_array().expect("variables");
        let inputs: Map<String, Value> = variables
            .iter()
            .map(|variable| {
                let name = variable["variable"].as_str().expect("a name");
                (name.to_owned(), get(pool, &variable["value_selector"]))
            })
            .collect();
        let code = node.data["code"].as_str().expect("code");
        let outputs = python(code, &inputs)?;
        self.codes.push((node.id.clone(), outputs.clone()));
        for (name, output) in node.data["outputs"].as_object().expect("outputs") {
            let value = &outputs[name];
            let fits = match output["type"].as_str().expect("a type") {
                "string" => value.is_string() || value.is_null(),
                "number" => value.is_number(),
                "object" => value.is_object(),
                "array[object]" => value
                    .as_array()
                    .is_some_and(|list| list.iter().all(|item| item.is_object() || item.is_null())),
                other => panic!("{}: an output of type {other}", node.id),
            };
            if !fits {
                return Err(format!("{}: output {name} is {value}", node.id));
            }
        }
        Ok(outputs.as_object().cloned().unwrap_or_default())
    }

    fn iteration(&mut self, node: &Node, pool: &Pool) -> Result<Map<String, Value>, String> {
        let start = node.data["start_node_id"].as_str().expect("a start");
        let mode = node.data["error_handle_mode"].as_str().expect("a mode");
        let items = get(pool, &node.data["iterator_selector"]);
        let mut rows = Vec::new();
        for (index, item) in items.as_array().into_iter().flatten().enumerate() {
            let mut inner = pool.clone();
            let round = json!({ "item": item, "index": index });
            inner.insert(
                node.id.clone(),
                round.as_object().cloned().unwrap_or_default(),
            );
            match self.walk(start, &mut inner) {
                Ok(_) => rows.push(get(&inner, &node.data["output_selector"])),
                Err(message) if mode == "terminated" => return Err(message),
                Err(_) if mode == "continue-on-error" => rows.push(Value::Null),
                Err(_) => assert_eq!(mode, "remove-abnormal-output", "{}", node.id),
            }
        }
        Ok(Map::from_iter([("output".to_owned(), json!(rows))]))
    }
}

/// The value of a selector: a node, a variable of it, and keys in that.
fn get(pool: &Pool, selector: &Value) -> Value {
    let mut path = selector.as_array().expect("a selector").iter();
    let mut part = || path.next().and_then(Value::as_str);
    let node = part().expect("a node");
    let Some(variables) = pool.get(node) else {
        return Value::Null;
    };
    let mut value = variables.get(part().expect("a variable"));
    while let Some(key) = part() {
        value = value.and_then(|value| value.get(key));
    }
    value.cloned().unwrap_or_default()
}

/// Converts a value to the type of a parameter, as Dify does before a call.
fn cast(kind: &Value, value: Value) -> Result<Value, String> {
    match (kind.as_str(), value) {
        (_, Value::Null) => Ok(Value::Null),
        (Some("string"), value @ Value::String(_)) => Ok(value),
        (Some("string"), value) => Ok(json!(value.to_string())),
        (Some("number" | "integer"), Value::String(text)) if text.is_empty() => Ok(Value::Null),
        (Some("number" | "integer"), Value::String(text)) => {
            let number: f64 = text
                .parse()
                .map_err(|_| format!("{text} is not a number"))?;
            Ok(json!(number))
        }
        (_, value) => Ok(value),
    }
}

/// The handle of the first case that holds, else `false`.
fn branch(node: &Node, pool: &Pool) -> String {
    let holds = |condition: &Value| {
        let value = get(pool, &condition["variable_selector"]);
        let expected = condition["value"].as_str().expect("a text");
        match condition["comparison_operator"].as_str() {
            Some("start with") => value
                .as_str()
                .is_some_and(|text| text.starts_with(expected)),
            other => panic!(
                "{}: the operator {other:?} is not interpreted here",
                node.id
            ),
        }
    };
    let case = node.data["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .find(|case| {
            let conditions = case["conditions"].as_array().expect("conditions");
            match case["logical_operator"].as_str() {
                Some("and") => conditions.iter().all(holds),
                _ => conditions.iter().any(holds),
            }
        });
    let handle = case.map_or("false", |case| case["case_id"].as_str().expect("an id"));
    handle.to_owned()
}

/// Runs `main` of a code node, as Dify's sandbox does: with the inputs by name, in an interpreter of its own.
fn python(code: &str, inputs: &Map<String, Value>) -> Result<Value, String> {
    const RUNNER: &str = "import json, sys
given = json.load(sys.stdin)
scope = {}
exec(given['code'], scope)
json.dump(scope['main'](**given['inputs']), sys.stdout)";
    let mut child = Command::new("python3")
        .args(["-I", "-c", RUNNER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs the code nodes");
    let mut stdin = child.stdin.take().expect("it is piped");
    let given = json!({ "code": code, "inputs": inputs }).to_string();
    stdin.write_all(given.as_bytes()).expect("it is read");
    drop(stdin);
    let ran = child.wait_with_output().expect("it ends");
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(said.trim().lines().last().unwrap_or_default().to_owned());
    }
    Ok(serde_json::from_slice(&ran.stdout).expect("JSON"))
}
