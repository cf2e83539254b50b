//! Prompts: a person picks one from a menu, and the model receives its text.

use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use crate::args::mend::nearest;
use crate::error::{Error, Result};
use crate::tools::Object;

/// A prompt in one language; `{name}` in the text stands for an argument.
struct Template {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    arguments: &'static [Argument],
    text: &'static str,
}

struct Argument {
    name: &'static str,
    description: &'static str,
    /// The value used in the text if the argument is missing; `None` if the argument is required.
    default: Option<&'static str>,
}

const fn must(name: &'static str, description: &'static str) -> Argument {
    Argument {
        name,
        description,
        default: None,
    }
}

const fn may(name: &'static str, description: &'static str, default: &'static str) -> Argument {
    Argument {
        name,
        description,
        default: Some(default),
    }
}

const PROMPTS: &[Template] = &[
    Template {
        name: "slideshow",
        title: "Slideshow",
        description: "Pictures one after another with music and captions.",
        arguments: &[
            must(
                "images",
                "URLs or paths of the pictures, separated by commas",
            ),
            may("music", "URL or path of the music", "none"),
            may(
                "captions",
                "Text to show on the pictures",
                "one short caption for each picture",
            ),
            may("aspect_ratio", "9:16, 16:9 or 1:1", "9:16"),
        ],
        text: "Make a slideshow draft in {aspect_ratio}.\n\
               Pictures, in this order: {images}\nMusic: {music}\nCaptions: {captions}\n\n\
               Steps: create_draft with that aspect_ratio; add_image for each picture, 3 seconds each, end to end on one track, \
               with a gentle transition; add_audio for the music from the start, ending with the last picture; add_text for the captions \
               at the bottom while their picture shows; save_draft. Report the folder and anything that could not be done.",
    },
    Template {
        name: "product_ad",
        title: "Product ad",
        description: "A short vertical ad: hook, benefits, call to action.",
        arguments: &[
            must("product", "The product and its audience"),
            must(
                "media",
                "URLs or paths of clips and pictures, separated by commas",
            ),
            may("music", "URL or path of the music", "none"),
            may("seconds", "Length in seconds", "20"),
        ],
        text: "Make a vertical ad of {seconds} seconds as a draft.\nProduct: {product}\nClips and pictures: {media}\nMusic: {music}\n\n\
               First write a hook (3 s), two or three benefits and a call to action (3 s). Then: create_draft with aspect_ratio 9:16; \
               get_video_duration for the clips; add_video and add_image end to end with quick transitions; add_text for each line, large, \
               with an intro animation, not over the product; add_audio for the music, quieter under speech; save_draft. \
               Report the folder and the script.",
    },
    Template {
        name: "narrated_clip",
        title: "Narrated clip",
        description: "A clip with a narrator's voice and subtitles that follow it.",
        arguments: &[
            must("video", "URL or path of the clip"),
            must("narration", "URL or path of the voice"),
            may("subtitles", "SRT text, URL or path", "none"),
        ],
        text: "Make a draft of a narrated clip.\nClip: {video}\nNarration: {narration}\nSubtitles: {subtitles}\n\n\
               Steps: get_video_duration of the clip; create_draft with the clip's aspect ratio; add_video with the clip's own sound at volume 0.2; \
               add_audio for the narration from 0; add_subtitle with the SRT if there is one; save_draft. Report the folder.",
    },
    Template {
        name: "slideshow_zh",
        title: "图片轮播",
        description: "多张图片依次播放，配音乐和字幕。",
        arguments: &[
            must("images", "图片的 URL 或路径，用逗号分隔"),
            may("music", "音乐的 URL 或路径", "无"),
            may("captions", "图片上的文字", "每张图片一句简短的文字"),
            may("aspect_ratio", "9:16、16:9 或 1:1", "9:16"),
        ],
        text: "制作一个 {aspect_ratio} 的图片轮播草稿。\n图片（按此顺序）：{images}\n音乐：{music}\n文字：{captions}\n\n\
               步骤：用该 aspect_ratio 调用 create_draft；每张图片用 add_image，各 3 秒，在同一轨道上首尾相接，加柔和的转场；\
               用 add_audio 从头加入音乐，与最后一张图片同时结束；图片出现时用 add_text 在底部显示文字；最后 save_draft。\
               报告草稿文件夹，以及未能完成的部分。",
    },
    Template {
        name: "product_ad_zh",
        title: "产品广告",
        description: "竖屏短广告：开头、卖点、行动号召。",
        arguments: &[
            must("product", "产品及目标人群"),
            must("media", "视频和图片的 URL 或路径，用逗号分隔"),
            may("music", "音乐的 URL 或路径", "无"),
            may("seconds", "时长（秒）", "20"),
        ],
        text: "制作一个 {seconds} 秒的竖屏广告草稿。\n产品：{product}\n视频和图片：{media}\n音乐：{music}\n\n\
               先写出开头（3 秒）、两三个卖点和行动号召（3 秒）。然后：用 aspect_ratio 9:16 调用 create_draft；\
               用 get_video_duration 查看各视频时长；用 add_video 和 add_image 首尾相接并加快节奏的转场；每句文案用 add_text，\
               大字、带入场动画，不要挡住产品；用 add_audio 加音乐，人声处调低；最后 save_draft。报告草稿文件夹和文案。",
    },
    Template {
        name: "narrated_clip_zh",
        title: "旁白视频",
        description: "视频配旁白，字幕与旁白同步。",
        arguments: &[
            must("video", "视频的 URL 或路径"),
            must("narration", "旁白音频的 URL 或路径"),
            may("subtitles", "SRT 文本、URL 或路径", "无"),
        ],
        text: "制作一个旁白视频草稿。\n视频：{video}\n旁白：{narration}\n字幕：{subtitles}\n\n\
               步骤：用 get_video_duration 查看视频时长；按视频的画幅调用 create_draft；用 add_video 加入视频，原声音量 0.2；\
               用 add_audio 从 0 秒加入旁白；有 SRT 时用 add_subtitle；最后 save_draft。报告草稿文件夹。",
    },
];

pub(super) fn list() -> Vec<Prompt> {
    PROMPTS
        .iter()
        .map(|template| {
            let arguments = template
                .arguments
                .iter()
                .map(|argument| {
                    PromptArgument::new(argument.name)
                        .with_description(argument.description)
                        .with_required(argument.default.is_none())
                })
                .collect();
            Prompt::new(template.name, Some(template.description), Some(arguments))
                .with_title(template.title)
        })
        .collect()
}

pub(super) fn get(name: &str, arguments: &Object) -> Result<GetPromptResult> {
    let template = PROMPTS.iter().find(|t| t.name == name).ok_or_else(|| {
        let near = nearest(name, PROMPTS.iter().map(|t| t.name))
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Error::not_found(format!("there is no prompt `{name}`{near}"))
    })?;
    let mut faults: Vec<String> = arguments
        .keys()
        .filter(|given| !template.arguments.iter().any(|a| a.name == given.as_str()))
        .map(|given| format!("`{given}`: `{name}` has no such argument"))
        .collect();
    let mut values = Vec::new();
    for argument in template.arguments {
        let given = match arguments.get(argument.name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
            Some(Value::String(_) | Value::Null) | None => argument.default.map(str::to_owned),
            Some(other) => Some(other.to_string()),
        };
        match given {
            Some(value) => values.push((argument.name, value)),
            None => faults.push(format!(
                "`{}` is missing: {}",
                argument.name, argument.description
            )),
        }
    }
    if !faults.is_empty() {
        return Err(Error::invalid(faults.join("\n")));
    }
    let text = fill(template.text, &values);
    let messages = vec![PromptMessage::new_text(Role::User, text)];
    Ok(GetPromptResult::new(messages).with_description(template.description))
}

/// Fills in the values; braces within a value are not replaced.
fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        if let Some((_, value)) = values.iter().find(|(own, _)| *own == name) {
            filled.push_str(value);
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools::Object;

    fn arguments(value: Value) -> Object {
        match value {
            Value::Object(arguments) => arguments,
            _ => panic!("an object"),
        }
    }

    fn text(result: &GetPromptResult) -> String {
        let message = serde_json::to_value(&result.messages[0]).expect("JSON");
        message["content"]["text"]
            .as_str()
            .expect("text")
            .to_owned()
    }

    #[test]
    fn every_placeholder_of_a_prompt_is_one_of_its_arguments() {
        for template in PROMPTS {
            let all = template
                .arguments
                .iter()
                .map(|a| (a.name.to_owned(), json!(format!("<{}>", a.name))))
                .collect();
            let filled = text(&get(template.name, &all).expect("a prompt"));
            for argument in template.arguments {
                let value = format!("<{}>", argument.name);
                assert!(filled.contains(&value), "{}: {value}", template.name);
            }
            assert!(!template.text.contains("{}"), "{}", template.name);
            assert_eq!(
                template.text.matches('{').count(),
                filled.matches('<').count(),
                "{}",
                template.name
            );
        }
    }

    #[test]
    fn every_prompt_exists_in_both_languages() {
        for template in PROMPTS.iter().filter(|t| !t.name.ends_with("_zh")) {
            let other = format!("{}_zh", template.name);
            let names = |t: &Template| t.arguments.iter().map(|a| a.name).collect::<Vec<_>>();
            let other = PROMPTS.iter().find(|t| t.name == other).expect("Chinese");
            assert_eq!(names(template), names(other));
        }
    }

    #[test]
    fn braces_within_values_are_not_replaced() {
        let given = arguments(json!({ "images": "{music}.png", "music": null }));
        let filled = text(&get("slideshow", &given).expect("a prompt"));
        assert!(
            filled.contains("order: {music}.png\nMusic: none\n"),
            "{filled}"
        );
    }

    #[test]
    fn all_problems_of_a_prompt_are_reported_together() {
        let error = get(
            "product_ad",
            &arguments(json!({ "musik": "a", "media": "b" })),
        )
        .expect_err("problems");
        assert_eq!(
            error.message,
            "`musik`: `product_ad` has no such argument\n`product` is missing: The product and its audience"
        );
        let error = get("slide_show", &Object::new()).expect_err("unknown");
        assert_eq!(
            error.message,
            "there is no prompt `slide_show`; did you mean `slideshow`?"
        );
    }
}
