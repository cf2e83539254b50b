//! (tests only) Other names, loose values, and the problems of a call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::args::schema;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Round,
    VerySquare,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Style {
    /// Points.
    #[schemars(range(min = 1))]
    size: Option<f64>,
    bold: Option<bool>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Sample {
    /// The words to show. More of it.
    text: String,
    #[schemars(range(min = 0.0, max = 10.0))]
    start: Option<f64>,
    count: Option<i64>,
    vertical: Option<bool>,
    shape: Option<Shape>,
    style: Option<Style>,
    styles: Option<Vec<Style>>,
    levels: Option<Vec<f64>>,
    #[schemars(length(min = 1, max = 3))]
    track: Option<String>,
    font_color: Option<String>,
    position: Option<crate::args::Position>,
    transform_x: Option<f64>,
    width: Option<u32>,
    height: Option<u32>,
}

const INPUT_RULES: &[InputRule] = &[
    InputRule::Alias("words", "text"),
    InputRule::Alias("start_time", "start"),
    InputRule::Size,
    InputRule::Position,
];

fn normalized(arguments: Value) -> Result<Value> {
    let Value::Object(mut arguments) = arguments else {
        panic!("an object");
    };
    normalize(
        "sample",
        INPUT_RULES,
        &schema::input::<Sample>(),
        &mut arguments,
        ArgumentSource::Call,
        &Styles::default(),
    )?;
    Ok(Value::Object(arguments))
}

#[test]
fn loose_values_become_those_of_the_schema() {
    let strict = json!({
        "text": "12", "start": 1.5, "count": 1280, "vertical": true, "shape": "very_square",
        "style": { "size": 3, "bold": false }, "styles": [{ "size": 2.5 }], "levels": [1, 2],
    });
    for loose in [
        json!({
            "text": 12, "start": "1.5", "count": "1280.0", "vertical": "true", "shape": "Very Square",
            "style": "{\"size\": \"3\", \"bold\": \"False\"}", "styles": "[{\"size\": \"2.5\", \"bold\": null}]",
            "levels": ["1", 2], "track": null, "transform_x": "", "width": "null",
        }),
        json!({
            "text": "12", "start": " 1.5 ", "count": 1280.0, "vertical": 1, "shape": "very-square",
            "style": { "size": "3", "bold": 0 }, "styles": { "size": 2.5 }, "levels": "[\"1\", \"2\"]",
        }),
        strict.clone(),
    ] {
        assert_eq!(
            normalized(loose.clone()).expect("normalized"),
            strict,
            "{loose}"
        );
    }
}

#[test]
fn other_names_become_the_tools_own() {
    assert_eq!(
        normalized(json!({ "words": "a", "start_time": "2", "resolution": "640x360" }))
            .expect("normalized"),
        json!({ "text": "a", "start": 2, "width": 640, "height": 360 })
    );
    assert_eq!(
        normalized(json!({ "words": "a", "text": "a" })).expect("normalized"),
        json!({ "text": "a" })
    );
}

#[test]
fn a_position_is_a_word_or_a_box_also_in_text() {
    let boxed = json!({ "x": 0, "y": 0, "width": 10, "height": 10 });
    for position in [boxed.clone(), json!(boxed.to_string())] {
        assert_eq!(
            normalized(json!({ "text": "a", "position": position })).expect("normalized")["position"],
            boxed
        );
    }
    normalized(json!({ "text": "a", "position": "bottom" })).expect("a word");
}

#[test]
fn one_error_lists_all_problems_by_the_names_that_were_sent() {
    let error = normalized(json!({
        "start_time": 11, "count": 1.5, "vertical": "maybe", "shape": "rond", "style": [],
        "styles": [{ "sise": 1, "size": 0 }], "levels": {}, "track": "", "colour": "#fff",
        "zzz": 1, "position": "behind", "transform_x": "far", "resolution": "big",
    }))
    .expect_err("problems");
    let expected = "\
`resolution` is \"big\", which is not like \"1920x1080\" or \"1080p\"
`position` is \"behind\", which is not a position; it can be \"center\", \"top\", \"bottom\", \"left\", \"right\", \"top_left\", \"top_right\", \"bottom_left\", \"bottom_right\" or {x, y, width, height} in pixels
`position` (a word) and `transform_x` both set the position: give one of them
`count` is 1.5, which is not a whole number
`vertical` is \"maybe\", which is not true or false
`shape` is \"rond\"; it can be \"round\", \"very_square\"; did you mean \"round\"?
`style` is [], which is not an object
`styles[0].sise`: there is no such field; did you mean `size`?
`styles[0].size` is 0; it must be on the app's own scale, 1 to 300; usually 5 to 15; did you mean 8?
`levels` is {}, which is not a list
`colour`: `sample` has no such argument; did you mean `font_color`?
`zzz`: `sample` has no such argument; the known ones are `text`, `start`, `count`, `vertical`, `shape`, `style`, `styles`, `levels` and 6 more
`transform_x` is \"far\", which is not a number; it must be half canvases from the centre: -1 is the left or lower edge, 1 is the right or upper edge
`start_time` is 11, which is not within 0 to 10
`text` is missing: the words to show";
    assert_eq!(error.message, expected);
}

#[test]
fn long_lists_of_problems_are_cut_and_counted() {
    let arguments: Object = (0..20_000)
        .map(|number| (format!("unknown_{number}"), json!(1)))
        .chain([("text".to_owned(), json!("a"))])
        .collect();
    let error = normalized(Value::Object(arguments)).expect_err("problems");
    assert_eq!(error.message.lines().count(), LISTED + 1);
    assert!(
        error.message.ends_with("\nand 19,980 more problems"),
        "{error}"
    );
    let levels = vec![json!("x"); 50_000];
    let error = normalized(json!({ "text": "a", "levels": levels })).expect_err("problems");
    assert!(error.message.len() < 8_000, "{}", error.message.len());
}

#[test]
fn long_names_and_values_are_shortened() {
    let long = "é".repeat(1 << 20);
    for arguments in [
        json!({ "text": "a", &long: 1 }),
        json!({ "text": "a", "shape": long }),
        json!({ "text": "a", "start": long }),
        json!({ "text": "a", "vertical": long }),
        json!({ "text": "a", "style": long }),
        json!({ "text": "a", "style": { &long: 1 } }),
        json!({ "text": "a", "position": long }),
        json!({ "text": "a", "resolution": long }),
        json!({ "text": "a", "levels": { "a": [long] } }),
        json!({ "text": "a", "words": long }),
    ] {
        let error = normalized(arguments).expect_err("a problem");
        assert!(error.message.len() < 1_500, "{}", error.message);
        assert!(
            error.message.contains("1048576 characters") || error.message.contains("(10485"),
            "{error}"
        );
    }
}

#[test]
fn two_names_for_one_argument_must_agree() {
    let error = normalized(json!({ "words": "a", "text": "b" })).expect_err("a problem");
    assert_eq!(
        error.message,
        "`words` is another name for `text`: give one of them, not \"a\" and \"b\""
    );
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Subtitle {
    srt: String,
    time_offset: Option<f64>,
}

fn caption(arguments: Value) -> Result<Value> {
    let Value::Object(mut arguments) = arguments else {
        panic!("an object");
    };
    let rules = [InputRule::Caption, InputRule::Alias("srt_path", "srt")];
    normalize(
        "add_subtitle",
        &rules,
        &schema::input::<Subtitle>(),
        &mut arguments,
        ArgumentSource::Call,
        &Styles::default(),
    )?;
    Ok(Value::Object(arguments))
}

#[test]
fn one_caption_becomes_an_srt_of_one_cue() {
    assert_eq!(
        caption(json!({ "subtitle_text": "Hi\n\nyou", "start_time": "1.5", "end_time": 3661.25 }))
            .expect("normalized"),
        json!({ "srt": "1\n00:00:01,500 --> 01:01:01,250\nHi\nyou\n" })
    );
}

#[test]
fn problems_of_a_caption_are_reported() {
    for (arguments, fault) in [
        (
            json!({ "subtitle_text": "a" }),
            "`end_time` is missing: the time when the caption disappears, in seconds",
        ),
        (
            json!({ "subtitle_text": "a", "start_time": 2, "end_time": 1 }),
            "`end_time` is 1 s, which is not after `start_time` (2 s)",
        ),
        (
            json!({ "subtitle_text": "a", "start_time": "x", "end_time": 1 }),
            "`start_time` is \"x\", which is not a time in seconds",
        ),
        (
            json!({ "subtitle_text": " ", "end_time": 1 }),
            "`subtitle_text` is empty; it must be the caption to show",
        ),
        (
            json!({ "subtitle_text": "a", "end_time": 1, "srt_path": "b" }),
            "`subtitle_text` is one caption and `srt` is a whole file: give one of them",
        ),
    ] {
        let error = caption(arguments).expect_err("a problem");
        assert!(
            error.message.lines().any(|line| line == fault),
            "{}",
            error.message
        );
    }
}
