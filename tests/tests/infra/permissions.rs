//! `infra/permissions.yaml` is the one place that says who may do what; the template's roles
//! grant exactly that.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use crate::template::{groups, logical, of_type, root, template, yaml};

/// One action on one resource, under the template condition that must hold for it.
type Grant = (String, String, Option<String>);

fn strings(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    items.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("not a string: {item}"))).collect()
}

fn grants(statement: &Value, condition: Option<&str>) -> Vec<Grant> {
    assert_eq!(statement["Effect"], "Allow", "{statement}");
    let resource = statement["Resource"].to_string();
    strings(&statement["Action"])
        .into_iter()
        .map(|action| (action.to_owned(), resource.clone(), condition.map(str::to_owned)))
        .collect()
}

fn statements(document: &Value) -> &[Value] {
    document["Statement"].as_array().map(Vec::as_slice).expect("a policy has a list of statements")
}

/// What a role of the template grants, through managed policies and its own.
fn granted(template: &Value, role: &str) -> BTreeSet<Grant> {
    let properties = &template["Resources"][role]["Properties"];
    let mut all = BTreeSet::new();
    for entry in properties["ManagedPolicyArns"].as_array().unwrap_or_else(|| panic!("{role} has policies")) {
        let (policy, condition) = match &entry["Fn::If"] {
            Value::Null => (&entry["Ref"], None),
            choice => {
                assert_eq!(choice[2], json!({"Ref": "AWS::NoValue"}), "{role}: {entry}");
                (&choice[1]["Ref"], choice[0].as_str())
            }
        };
        let name = policy.as_str().unwrap_or_else(|| panic!("{role}: a policy that is not of this template: {entry}"));
        let policy = &template["Resources"][name];
        assert_eq!(policy["Condition"].as_str(), condition, "{role}: {name} exists under another condition");
        for statement in statements(&policy["Properties"]["PolicyDocument"]) {
            all.extend(grants(statement, condition));
        }
    }
    for policy in properties["Policies"].as_array().into_iter().flatten() {
        for statement in statements(&policy["PolicyDocument"]) {
            all.extend(grants(statement, None));
        }
    }
    all
}

/// What the matrix gives a group, and the right to write its own log.
fn intended(matrix: &Value, group: &str) -> BTreeSet<Grant> {
    let mut all: BTreeSet<Grant> = strings(&matrix["groups"][group]["may"])
        .into_iter()
        .flat_map(|name| {
            let permission = &matrix["permissions"][name];
            assert!(permission.is_object(), "{group} may {name}, which is no permission");
            let statement =
                json!({"Effect": "Allow", "Action": permission["actions"], "Resource": permission["resource"]});
            grants(&statement, permission["condition"].as_str())
        })
        .collect();
    let log = json!({"Fn::GetAtt": format!("{}Logs.Arn", logical(group))}).to_string();
    all.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| (action.to_owned(), log.clone(), None)));
    all
}

fn matrix() -> Value {
    yaml("infra/permissions.yaml")
}

#[test]
fn every_group_has_a_row() {
    let matrix = matrix();
    let rows: BTreeSet<String> = matrix["groups"].as_object().expect("rows").keys().cloned().collect();
    assert_eq!(rows, groups());
}

#[test]
fn each_role_grants_what_the_matrix_says() {
    let (matrix, template) = (matrix(), template());
    for group in groups() {
        let role = format!("{}Role", logical(&group));
        assert_eq!(granted(&template, &role), intended(&matrix, &group), "{role} and the row of {group} differ");
    }
}

#[test]
fn each_function_has_its_own_role() {
    let template = template();
    for group in groups() {
        let function = &template["Resources"][format!("{}Function", logical(&group))];
        assert_eq!(function["Properties"]["Role"], json!({"Fn::GetAtt": format!("{}Role.Arn", logical(&group))}));
        assert!(function["Properties"]["Policies"].is_null(), "{group}: policies belong to the role");
    }
}

#[test]
fn no_role_is_left_unchecked() {
    let template = template();
    let mut expected: BTreeSet<String> = groups().iter().map(|group| format!("{}Role", logical(group))).collect();
    expected.extend(["SweepRole", "PipeRole"].map(str::to_owned));
    let roles: BTreeSet<String> =
        of_type(&template, "AWS::IAM::Role").into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(roles, expected);
    assert!(of_type(&template, "AWS::IAM::Policy").is_empty(), "a policy attached from outside a role is not checked");

    let sweep = &template["Resources"]["SweepRole"]["Properties"];
    assert_eq!(sweep["ManagedPolicyArns"], json!([{"Ref": "SendDeadLetters"}]));
    let document = &sweep["Policies"][0]["PolicyDocument"];
    assert_eq!(statements(document).len(), 1);
    assert_eq!(strings(&document["Statement"][0]["Action"]), ["lambda:InvokeFunction"]);

    let pipe: BTreeSet<String> = granted(&template, "PipeRole").into_iter().map(|(action, ..)| action).collect();
    let stream =
        ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"].map(|call| format!("dynamodb:{call}"));
    assert_eq!(pipe, stream.into_iter().chain(["sqs:SendMessage".to_owned()]).collect());
}

#[test]
fn a_group_that_runs_hooks_gives_them_what_they_need() {
    let matrix = matrix();
    let needed: BTreeSet<_> = strings(&matrix["hooks_need"]).into_iter().collect();
    for (group, row) in matrix["groups"].as_object().expect("rows") {
        let may: BTreeSet<_> = strings(&row["may"]).into_iter().collect();
        if strings(&row["hooks"]).is_empty() {
            assert!(!may.contains("invoke_model"), "{group} runs no hook, so it needs no model");
        } else {
            assert!(needed.is_subset(&may), "{group} runs hooks that need {:?}", needed.difference(&may));
        }
    }
}

#[test]
fn meta_only_reads_items_by_key() {
    let actions: BTreeSet<String> = granted(&template(), "MetaRole")
        .into_iter()
        .map(|(action, ..)| action)
        .filter(|action| action.starts_with("dynamodb:"))
        .collect();
    assert_eq!(actions, BTreeSet::from(["dynamodb:BatchGetItem", "dynamodb:GetItem"].map(str::to_owned)));
}

#[test]
fn nothing_is_granted_broadly() {
    let matrix = matrix();
    for (name, permission) in matrix["permissions"].as_object().expect("permissions") {
        for action in strings(&permission["actions"]) {
            assert!(!action.contains('*'), "{name}: {action}");
            for never in ["Scan", "CreateTable", "UpdateTable", "DeleteTable", "DescribeTable", "PartiQL"] {
                assert!(!action.contains(never), "{name}: {action}");
            }
        }
        assert_ne!(permission["resource"], "*", "{name}");
    }
}

/// A call the store makes and no role allows would only show on AWS.
#[test]
fn every_call_of_the_store_is_granted() {
    let known: [(&str, &[&str]); 10] = [
        ("get_item", &["GetItem"]),
        ("batch_get_item", &["BatchGetItem"]),
        ("transact_get_items", &["GetItem"]),
        ("query", &["Query"]),
        ("put_item", &["PutItem"]),
        ("update_item", &["UpdateItem"]),
        ("delete_item", &["DeleteItem"]),
        ("batch_write_item", &["BatchWriteItem"]),
        ("transact_write_items", &["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"]),
        ("scan", &["Scan"]),
    ];
    let matrix = matrix();
    let granted: BTreeSet<String> = groups().iter().flat_map(|group| intended(&matrix, group)).map(|g| g.0).collect();
    let source = sources(&root().join("shared/store/src"));
    for (call, actions) in known {
        if source.contains(&format!(".{call}()")) {
            for action in actions {
                assert!(
                    granted.contains(&format!("dynamodb:{action}")),
                    "the store calls {call}, which needs {action}"
                );
            }
        }
    }
}

fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &std::fs::read_to_string(&path).expect("a readable source");
        }
    }
    all
}
