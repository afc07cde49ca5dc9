//! What the code relies on without asking: names, the table's shape, where logs go.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::template::{groups, logical, of_type, template, text};

#[test]
fn every_group_is_a_function_named_alike_everywhere() {
    let template = template();
    let functions: BTreeSet<String> =
        of_type(&template, "AWS::Serverless::Function").into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(functions, groups().iter().map(|group| format!("{}Function", logical(group))).collect());

    for group in groups() {
        let function = &template["Resources"][format!("{}Function", logical(&group))];
        let (metadata, properties) = (&function["Metadata"], &function["Properties"]);
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{group}");
        assert_eq!(metadata["BuildProperties"]["Binary"], format!("actingweb-{group}"));
        assert_eq!(properties["CodeUri"], format!("../functions/{group}"));
        assert_eq!(properties["FunctionName"], json!({"Fn::Sub": format!("${{AWS::StackName}}-{group}")}));

        let manifest: toml::Table =
            text(&format!("functions/{group}/Cargo.toml")).parse().expect("a crate's manifest is TOML");
        assert_eq!(manifest["package"]["name"].as_str(), Some(format!("actingweb-{group}").as_str()));
    }
}

#[test]
fn every_function_logs_where_logs_end() {
    let template = template();
    for group in groups() {
        let function = &template["Resources"][format!("{}Function", logical(&group))]["Properties"];
        let logs = format!("{}Logs", logical(&group));
        assert_eq!(function["LoggingConfig"]["LogGroup"], json!({"Ref": logs}));
        let name = &template["Resources"][&logs]["Properties"]["LogGroupName"];
        assert_eq!(name, &json!({"Fn::Sub": format!("/aws/lambda/${{AWS::StackName}}-{group}")}));
    }
    for (name, group) in of_type(&template, "AWS::Logs::LogGroup") {
        assert_eq!(group["Properties"]["RetentionInDays"], json!({"Ref": "LogRetentionDays"}), "{name}");
    }
}

#[test]
fn the_table_has_what_the_store_relies_on() {
    let template = template();
    let table = &template["Resources"]["Table"]["Properties"];
    assert_eq!(
        table["KeySchema"],
        json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}])
    );
    assert_eq!(table["TimeToLiveSpecification"], json!({"AttributeName": "expires", "Enabled": true}));
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
}

#[test]
fn state_and_keys_outlive_the_stack() {
    let template = template();
    for name in ["Table", "Keys", "DeadLetters"] {
        let resource = &template["Resources"][name];
        assert_eq!(resource["DeletionPolicy"], "Retain", "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
}

/// What a mapping of the table's stream lets through; the rest of it is as the runtime answers.
fn let_through(template: &Value, mapping: &str) -> Value {
    let stream = &template["Resources"][mapping]["Properties"];
    let filters = stream["FilterCriteria"]["Filters"].as_array().expect("filters");
    assert_eq!(filters.len(), 1, "{mapping}: filters are alternatives: a second one would widen the first");
    assert_eq!(stream["EventSourceArn"], json!({"Fn::GetAtt": "Table.StreamArn"}), "{mapping}");
    assert_eq!(stream["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{mapping}");
    assert_eq!(stream["BisectBatchOnFunctionError"], true, "{mapping}");
    assert_eq!(stream["DestinationConfig"]["OnFailure"]["Destination"], json!({"Fn::GetAtt": "DeadLetters.Arn"}));
    serde_json::from_str(filters[0]["Pattern"].as_str().expect("a pattern")).expect("JSON")
}

#[test]
fn the_worker_sees_due_work_and_nothing_else() {
    let template = template();
    let pipe = &template["Resources"]["WorkPipe"]["Properties"];
    let filters = pipe["SourceParameters"]["FilterCriteria"]["Filters"].as_array().expect("filters");
    assert_eq!(filters.len(), 1, "filters are alternatives: a second one would widen the first");
    let pattern: Value = serde_json::from_str(filters[0]["Pattern"].as_str().expect("a pattern")).expect("JSON");
    let keys = json!({"pk": {"S": [{"prefix": "DUE#"}, {"prefix": "RUN#"}]}});
    assert_eq!(pattern, json!({"eventName": ["INSERT"], "dynamodb": {"Keys": keys}}));
    let stream = &pipe["SourceParameters"]["DynamoDBStreamParameters"];
    assert_eq!(stream["DeadLetterConfig"]["Arn"], json!({"Fn::GetAtt": "DeadLetters.Arn"}));
    assert_eq!(pipe["Source"], json!({"Fn::GetAtt": "Table.StreamArn"}));
    assert_eq!(pipe["Target"], json!({"Fn::GetAtt": "WorkQueue.Arn"}));
}

#[test]
fn work_that_is_due_is_looked_for_each_minute_and_a_look_that_fails_is_told() {
    let sweep = &template()["Resources"]["WorkerSweep"]["Properties"];
    assert_eq!(sweep["ScheduleExpression"], "rate(1 minute)");
    let target = &sweep["Target"];
    assert!(target["Arn"].to_string().ends_with("-worker\"}"), "{}", target["Arn"]);
    assert_eq!(target["RoleArn"], json!({"Fn::GetAtt": "SweepRole.Arn"}));
    assert_eq!(target["RetryPolicy"]["MaximumRetryAttempts"], 0, "the next minute comes");
    assert_eq!(target["DeadLetterConfig"]["Arn"], json!({"Fn::GetAtt": "DeadLetters.Arn"}));
}

#[test]
fn a_message_of_work_is_not_seen_again_while_its_invocation_may_last() {
    let template = template();
    let resource = |name: &str| template["Resources"][name]["Properties"].clone();
    let limit = resource("WorkerFunction")["Timeout"].as_u64().expect("seconds");
    let queue = resource("WorkQueue");
    assert!(queue["VisibilityTimeout"].as_u64().expect("seconds") >= 6 * limit);
    assert_eq!(queue["RedrivePolicy"]["deadLetterTargetArn"], json!({"Fn::GetAtt": "DeadLetters.Arn"}));
    let mapping = resource("WorkerQueue");
    assert_eq!(mapping["EventSourceArn"], json!({"Fn::GetAtt": "WorkQueue.Arn"}));
    assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
}

/// A shard of a stream is for two readers; a third would slow all of them down.
#[test]
fn the_stream_has_two_readers() {
    let template = template();
    let stream = json!({"Fn::GetAtt": "Table.StreamArn"});
    let mappings = of_type(&template, "AWS::Lambda::EventSourceMapping").into_iter().map(|(_, mapping)| mapping);
    let pipes = of_type(&template, "AWS::Pipes::Pipe").into_iter().map(|(_, pipe)| pipe);
    let sources = mappings.map(|mapping| &mapping["Properties"]["EventSourceArn"]);
    let readers = sources.chain(pipes.map(|pipe| &pipe["Properties"]["Source"])).filter(|source| **source == stream);
    assert_eq!(readers.count(), 2);
}

#[test]
fn deliver_sees_new_changes_and_notices_of_actors_and_nothing_else() {
    let pattern = let_through(&template(), "DeliverStream");
    let keys = json!({"pk": {"S": [{"prefix": "A#"}]}, "sk": {"S": [{"prefix": "CHG#"}, {"prefix": "OUT#"}]}});
    assert_eq!(pattern, json!({"eventName": ["INSERT"], "dynamodb": {"Keys": keys}}));
}

#[test]
fn alarms_cover_every_function_once() {
    let template = template();
    for alarms in [["FunctionErrors", "PeerFunctionErrors"], ["FunctionThrottles", "PeerFunctionThrottles"]] {
        let mut named = Vec::new();
        for alarm in alarms {
            let metrics = template["Resources"][alarm]["Properties"]["Metrics"].as_array().expect("metrics");
            let of_functions: Vec<_> = metrics.iter().filter(|metric| metric["Expression"].is_null()).collect();
            assert!(of_functions.len() <= 10, "{alarm}: CloudWatch adds up ten metrics at most; make it two alarms");
            named.extend(of_functions.into_iter().map(|metric| {
                let metric = &metric["MetricStat"]["Metric"];
                assert!(alarm.ends_with(metric["MetricName"].as_str().expect("a metric's name")), "{alarm}: {metric}");
                let function = metric["Dimensions"][0]["Value"]["Fn::Sub"].as_str().expect("a function's name");
                function.trim_start_matches("${AWS::StackName}-").to_owned()
            }));
        }
        named.sort();
        assert_eq!(named, groups().into_iter().collect::<Vec<_>>(), "{alarms:?}");
    }
}

/// The age of the oldest message counts those that a worker has, too, and may have for a quarter of an hour.
#[test]
fn work_under_way_is_not_late() {
    let template = template();
    let metrics = template["Resources"]["WorkerLate"]["Properties"]["Metrics"].as_array().expect("metrics").clone();
    let named = |id: &str| metrics.iter().find(|metric| metric["Id"] == id).expect("a metric").clone();
    assert_eq!(named("late")["Expression"], "IF(waiting > 0, age, 0)");
    for (id, name, stat) in [
        ("waiting", "ApproximateNumberOfMessagesVisible", "Minimum"),
        ("age", "ApproximateAgeOfOldestMessage", "Maximum"),
    ] {
        let metric = &named(id)["MetricStat"];
        assert_eq!((&metric["Metric"]["MetricName"], &metric["Stat"]), (&json!(name), &json!(stat)));
        assert_eq!(metric["Metric"]["Dimensions"][0]["Value"], json!({"Fn::GetAtt": "WorkQueue.QueueName"}));
    }
}

#[test]
fn functions_stop_before_the_gateway_does() {
    let template = template();
    let limit = template["Globals"]["Function"]["Timeout"].as_u64().expect("seconds") * 1000;
    for (name, integration) in of_type(&template, "AWS::ApiGatewayV2::Integration") {
        assert!(limit < integration["Properties"]["TimeoutInMillis"].as_u64().expect("milliseconds"), "{name}");
    }
}

#[test]
fn settings_are_those_the_runtime_reads() {
    let (template, config) = (template(), text("shared/runtime/src/config.rs"));
    let variables = template["Globals"]["Function"]["Environment"]["Variables"].as_object().expect("variables");
    for name in variables.keys() {
        assert!(config.contains(&format!("\"{name}\"")), "the runtime does not read {name}");
    }
    for needed in ["ACTINGWEB_TABLE", "ACTINGWEB_BASE_URL", "ACTINGWEB_KEYS"] {
        assert!(variables.contains_key(needed), "a function does not start without {needed}");
    }
}

/// Functions deployed by cargo-lambda get the same settings as those deployed by SAM.
#[test]
fn the_deploy_script_sets_what_the_template_sets() {
    let template = template();
    let script = text("infra/deploy-cargo-lambda.sh");
    let variables = template["Globals"]["Function"]["Environment"]["Variables"].as_object().expect("variables");
    for name in variables.keys() {
        let is_set = [format!("\n{name}="), format!(" setting {name} ")].iter().any(|line| script.contains(line));
        assert!(is_set, "infra/deploy-cargo-lambda.sh does not set {name}");
    }
    for group in groups() {
        let outputs = &template["Outputs"];
        assert!(outputs[format!("{}RoleArn", logical(&group))].is_object(), "{group}: the script needs its role");
        assert!(outputs[format!("{}FunctionName", logical(&group))].is_object(), "{group}");
    }
}

#[test]
fn nothing_secret_is_an_output() {
    let outputs = template()["Outputs"].to_string();
    assert!(!outputs.contains("resolve:"), "{outputs}");
}
