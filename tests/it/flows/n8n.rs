//! What would keep a workflow file of n8n from running.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const MCP_CLIENT: &str = "@n8n/n8n-nodes-langchain.mcpClient";

/// The node types of the examples, with the version and the settings that n8n has for them.
const KINDS: [(&str, f64, &[&str]); 5] = [
    ("n8n-nodes-base.manualTrigger", 1.0, &[]),
    (
        "n8n-nodes-base.set",
        3.4,
        &["mode", "jsonOutput", "assignments", "options"],
    ),
    (
        "n8n-nodes-base.splitOut",
        1.0,
        &["fieldToSplitOut", "options"],
    ),
    ("n8n-nodes-base.if", 2.2, &["conditions", "options"]),
    (
        MCP_CLIENT,
        1.0,
        &[
            "serverTransport",
            "endpointUrl",
            "authentication",
            "tool",
            "inputMode",
            "parameters",
            "options",
        ],
    ),
];

/// Everything that would keep the workflow from running with these tools.
pub(super) fn faults(file: &str, tools: &BTreeMap<String, Value>) -> Vec<String> {
    let file: Value = serde_json::from_str(file).expect("JSON");
    let nodes = file["nodes"].as_array().expect("nodes");
    let names: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["name"].as_str())
        .collect();
    let ids: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let mut faults = Vec::new();
    if names.len() != nodes.len() || ids.len() != nodes.len() {
        faults.push("two nodes have the same name or id".to_owned());
    }
    check_connections(&file["connections"], nodes, &names, &mut faults);
    for node in nodes {
        let name = node["name"].as_str().expect("a name");
        let kind = KINDS.iter().find(|(kind, ..)| node["type"] == *kind);
        let Some((kind, version, settings)) = kind else {
            faults.push(format!("{name}: no type {}", node["type"]));
            continue;
        };
        if node["typeVersion"].as_f64() != Some(*version) {
            faults.push(format!("{name}: no version {}", node["typeVersion"]));
        }
        for (setting, value) in node["parameters"].as_object().expect("settings") {
            if !settings.contains(&&**setting) {
                faults.push(format!("{name}: no setting {setting}"));
            }
            check_expressions(name, value, nodes, tools, &mut faults);
        }
        if *kind == MCP_CLIENT {
            check_call(name, node, tools, &mut faults);
        }
    }
    faults
}

fn check_connections(
    connections: &Value,
    nodes: &[Value],
    names: &BTreeSet<&str>,
    faults: &mut Vec<String>,
) {
    let mut reached = BTreeSet::new();
    for (source, outputs) in connections.as_object().expect("connections") {
        let Some(node) = nodes.iter().find(|node| node["name"] == **source) else {
            faults.push(format!("a connection starts at no node {source}"));
            continue;
        };
        let outputs = outputs["main"].as_array().expect("outputs");
        let expected = if node["type"] == "n8n-nodes-base.if" {
            2
        } else {
            1
        };
        if outputs.len() != expected || outputs.iter().any(|output| output[0].is_null()) {
            faults.push(format!("{source}: not every output is connected"));
        }
        for target in outputs
            .iter()
            .flat_map(|output| output.as_array().into_iter().flatten())
        {
            let name = target["node"].as_str().expect("a name");
            if !names.contains(name) {
                faults.push(format!("{source}: a connection leads to no node {name}"));
            }
            if target["type"] != "main" || target["index"] != 0 {
                faults.push(format!("{source}: a connection to {name} has a wrong end"));
            }
            reached.insert(name.to_owned());
        }
    }
    for node in nodes {
        let name = node["name"].as_str().expect("a name");
        if !reached.contains(name) && node["type"] != "n8n-nodes-base.manualTrigger" {
            faults.push(format!("{name}: nothing leads to it"));
        }
    }
}

/// Checks which nodes, and which parts of a tool's reply, the expressions name.
fn check_expressions(
    name: &str,
    value: &Value,
    nodes: &[Value],
    tools: &BTreeMap<String, Value>,
    faults: &mut Vec<String>,
) {
    match value {
        Value::Array(list) => {
            for inner in list {
                check_expressions(name, inner, nodes, tools, faults);
            }
        }
        Value::Object(object) => {
            for inner in object.values() {
                check_expressions(name, inner, nodes, tools, faults);
            }
        }
        Value::String(text) if text.starts_with('=') => {
            for part in text.split("$('").skip(1) {
                let (node, rest) = part.split_once("')").expect("a closed name");
                let Some(found) = nodes.iter().find(|found| found["name"] == node) else {
                    faults.push(format!("{name}: there is no node {node}"));
                    continue;
                };
                let Some(output) = rest.strip_prefix(".item.json.content[0].text.") else {
                    continue;
                };
                let output: String = output
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                let tool = found["parameters"]["tool"]["value"].as_str();
                let schema = tool
                    .and_then(|tool| tools.get(tool))
                    .map(|tool| &tool["outputSchema"]);
                if schema.is_none_or(|schema| schema["properties"].get(&output).is_none()) {
                    faults.push(format!("{name}: {node} has no output {output}"));
                }
            }
        }
        _ => {}
    }
}

fn check_call(name: &str, node: &Value, tools: &BTreeMap<String, Value>, faults: &mut Vec<String>) {
    let parameters = &node["parameters"];
    let pause = node["waitBetweenTries"].as_u64();
    if parameters["serverTransport"] != "httpStreamable" {
        faults.push(format!("{name}: not Streamable HTTP"));
    }
    if !["bearerAuth", "headerAuth"]
        .iter()
        .any(|kind| parameters["authentication"] == *kind)
    {
        faults.push(format!("{name}: no token is sent"));
    }
    // The most that n8n waits.
    if node["retryOnFail"] != true || pause.is_none_or(|pause| pause > 5000) {
        faults.push(format!("{name}: it is not retried"));
    }
    let tool = parameters["tool"]["value"].as_str().expect("a tool");
    let Some(tool_schema) = tools.get(tool).map(|tool| &tool["inputSchema"]) else {
        faults.push(format!("{name}: there is no tool {tool}"));
        return;
    };
    let given = parameters["parameters"]["value"]
        .as_object()
        .expect("parameters");
    for parameter in given.keys() {
        if tool_schema["properties"].get(parameter).is_none() {
            faults.push(format!("{name}: {tool} has no parameter {parameter}"));
        }
    }
    for required in tool_schema["required"].as_array().into_iter().flatten() {
        if !given.contains_key(required.as_str().expect("a name")) {
            faults.push(format!("{name}: {tool} needs {required}"));
        }
    }
}
