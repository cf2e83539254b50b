//! Prompts: the user picks one from a menu, and the model receives its text.

use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use crate::args::suggest::nearest;
use crate::catalog::NameKind;
use crate::error::{Error, Result, shortened};
use crate::tools::Object;

/// A prompt in one language; `{name}` in the text stands for an argument, `${name}` for itself.
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
    values: Values,
}

/// The values that clients can offer while an argument is typed.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Any text.
    Free,
    Choices(&'static [&'static str]),
    /// The names of the catalog.
    Names(NameKind),
    /// The names and ids of drafts.
    Drafts,
}

const fn must(name: &'static str, description: &'static str) -> Argument {
    Argument {
        name,
        description,
        default: None,
        values: Values::Free,
    }
}

const fn may(name: &'static str, description: &'static str, default: &'static str) -> Argument {
    Argument {
        name,
        description,
        default: Some(default),
        values: Values::Free,
    }
}

impl Argument {
    const fn of(mut self, values: Values) -> Self {
        self.values = values;
        self
    }
}

const CANVASES: Values = Values::Choices(&["9:16", "16:9", "1:1", "4:5", "4:3", "3:4"]);
const LENGTHS: Values = Values::Choices(&["10", "15", "20", "30", "60"]);
const ASSETS: Values = Values::Choices(&["picture", "film"]);
const TRANSITIONS: Values = Values::Names(NameKind::Transition);

const PROMPTS: &[Template] = &[
    Template {
        name: "slideshow",
        title: "Slideshow",
        description: "Pictures one after another with music and captions.",
        arguments: &[
            must(
                "images",
                "URLs or paths of the pictures, separated by commas, or their folder",
            ),
            may("music", "URL or path of the music", "none"),
            may(
                "captions",
                "Text to show on the pictures",
                "one short caption for each picture",
            ),
            may("aspect_ratio", "9:16, 16:9 or 1:1", "9:16").of(CANVASES),
            may(
                "transition",
                "Transition between the pictures",
                "a soft one",
            )
            .of(TRANSITIONS),
        ],
        text: "Make a slideshow draft in {aspect_ratio}.\n\
               Pictures, in this order: {images}\nMusic: {music}\nCaptions: {captions}\nTransition: {transition}\n\n\
               If the pictures are given as a folder, list its files. A picture that was only shown in the chat has no path: \
               ask where its file is.\n\
               Find the transition's exact name with search_catalog. Then call compose_draft once, with one plan: `name` and `aspect_ratio`; \
               in `visuals` each picture with `image_url`, `duration` 3 and the transition, without start times, as they follow each other; \
               in `audio` the music with `fit` \"video\", so that it ends with the last picture; in `texts` the captions with \
               `position` \"bottom\", each with the `at` and `duration` of its picture.\n\
               Show the result with preview_draft. Report the draft's folder and everything that could not be done.",
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
            may("seconds", "Length in seconds", "20").of(LENGTHS),
        ],
        text: "Make a vertical ad of {seconds} seconds as a draft.\nProduct: {product}\nClips and pictures: {media}\nMusic: {music}\n\n\
               First write the lines: a hook (3 s), two or three benefits, a call to action (3 s). Get the lengths of the clips with \
               get_video_duration, and the names of a quick transition and of a text intro animation with search_catalog. \
               Then call compose_draft once, with one plan: `name` and `aspect_ratio` \"9:16\"; in `visuals` the clips and pictures with \
               `duration` and the transition, {seconds} seconds together; in `texts` each line with `at`, `duration`, a large `font_size` and \
               the animation, where it does not cover the product; in `audio` the music with `fit` \"video\" and a lower `volume` \
               if somebody speaks.\n\
               Show the result with preview_draft. Report the draft's folder and the lines.",
    },
    Template {
        name: "narrated_clip",
        title: "Narrated clip",
        description: "A clip with a narrator's voice and captions that follow it.",
        arguments: &[
            must("video", "URL or path of the clip"),
            must("narration", "URL or path of the voice"),
            may("subtitles", "SRT text, URL or path", "none"),
        ],
        text: "Make a draft of a narrated clip.\nClip: {video}\nNarration: {narration}\nCaptions: {subtitles}\n\n\
               Get the length and size of the clip and the length of the narration with get_video_duration. If they differ by more than a \
               second, ask whether to cut the clip or to let it run on. Then call compose_draft once, with one plan: `width` and `height` of \
               the clip; in `visuals` the clip with `volume` 0.2; in `audio` the narration from 0; in `subtitles` the captions as `srt`. \
               Without captions, ask for the narration's text and make SRT of it only if its times are known: do not guess them.\n\
               Show the result with preview_draft. Report the draft's folder and the notes of the reply.",
    },
    Template {
        name: "batch",
        title: "Batch from a table",
        description: "One draft for each row of a table, after a sample that you approve.",
        arguments: &[
            must("table", "The rows, or the path of a CSV file"),
            must(
                "video",
                "What each video shows, with the names of the columns",
            ),
            may("aspect_ratio", "9:16, 16:9 or 1:1", "9:16").of(CANVASES),
        ],
        text: "Make one draft in {aspect_ratio} for each row of a table.\nTable: {table}\nEach video: {video}\n\n\
               If you cannot read the table, ask for its rows. Write one plan in which `${column}` stands for what a row changes, and \
               give the drafts different names, such as `${title}`. Check the names of effects with search_catalog.\n\
               Make the first row alone with compose_draft (the plan, and the row as `inputs`) and show it with preview_draft. When I agree, \
               call compose_batch with the plan as `template` and the other rows as `inputs`. It returns a job_id immediately: \
               follow it with job_status and `wait_s` until it ends.\n\
               Report how many drafts were made, where they are, and each row that failed with its error.",
    },
    Template {
        name: "check_draft",
        title: "Check my draft",
        description: "Finds gaps, texts that are too short to read, and missing media; changes nothing.",
        arguments: &[
            must("draft", "Name or id of the draft, or its folder").of(Values::Drafts),
            may("purpose", "What the video is for", "not stated"),
        ],
        text: "Check this draft and say what to improve: {draft}\nWhat it is for: {purpose}\n\n\
               Change nothing. Look at the timeline with preview_draft and at the clips with inspect_draft: gaps in the pictures, sound that ends before or after them, texts that are shown for less \
               than a second or for too short a time to read, texts that cover each other. If the draft was saved, or if only its folder is given, \
               check the files and media on disk with validate_draft.\n\
               List what you found, the most serious first, each with its time and how to fix it. Then ask what to change.",
    },
    Template {
        name: "video_from_theme",
        title: "Video from a theme",
        description: "Voices and pictures are generated and become a video with captions. You see the price first.",
        arguments: &[
            must("theme", "What the video is about, and for whom"),
            may("seconds", "Length in seconds", "30").of(LENGTHS),
            may("aspect_ratio", "9:16, 16:9 or 1:1", "9:16").of(CANVASES),
            may(
                "style",
                "Style of all pictures",
                "your choice, in one short phrase",
            ),
            may("asset_type", "picture or film", "picture").of(ASSETS),
            may(
                "voice",
                "The voice, as its provider names it",
                "that of the provider",
            ),
            may("music", "URL or path of the music", "none"),
        ],
        text: "Make a video of {seconds} seconds in {aspect_ratio} from a theme.\n\
               Theme: {theme}\nStyle of the pictures: {style}\nAsset type: {asset_type}\nVoice: {voice}\nMusic: {music}\n\n\
               Write the scenes yourself, in the language of the theme: an opening, two to six scenes with one thought each, a call to action; \
               about one scene for 6 seconds. Each is an object with `say` (the words that are spoken, in whole sentences, without stage \
               directions) and `show` (what is seen, in one sentence: subject, setting, light, camera). `seconds` is only for scenes that have \
               to be longer than their words. Count the words of all `say` together: 2.3 words a second in English, 4.2 characters a second in \
               Chinese, so that they fill {seconds} seconds and not more. No text, letters or logos in the pictures: captions are \
               added from the voice. People and things that return are described with the same words each time; the style is not repeated \
               in `show`, as `visual_style` is added to all of them.\n\
               Call generate_video with `theme`, `scenes`, `duration`, `aspect_ratio`, `visual_style` and `asset_type`, and with `voice` and `music` only if \
               I named them, first with `dry_run` true: it sends nothing. If the estimate has a cost or an unknown price, show me the scenes and the \
               estimate and ask for `max_cost`; do not choose it for me. Then call it again with the same scenes and my `max_cost`, and without `dry_run`. \
               If nothing costs money, continue without asking.\n\
               If the reply is `running`, follow the job_id with job_status and `wait_s` until it ends. If it fails, report the error and ask: what was made \
               is kept, and `retry_uncertain` may pay twice.\n\
               Report the draft's folder or link, the length, what it cost, the table of what was made (item, provider, cost), and the notes.",
    },
    Template {
        name: "slideshow_zh",
        title: "图片轮播",
        description: "多张图片依次播放，配音乐和文字。",
        arguments: &[
            must(
                "images",
                "图片的 URL 或路径，用逗号分隔；也可以是图片所在的文件夹",
            ),
            may("music", "音乐的 URL 或路径", "无"),
            may("captions", "图片上的文字", "每张图片配一句简短的文字"),
            may("aspect_ratio", "9:16、16:9 或 1:1", "9:16").of(CANVASES),
            may("transition", "图片之间的转场", "柔和的转场").of(TRANSITIONS),
        ],
        text: "制作一个 {aspect_ratio} 的图片轮播草稿。\n图片（按此顺序）：{images}\n音乐：{music}\n文字：{captions}\n转场：{transition}\n\n\
               如果给的是文件夹，先列出里面的图片。只在聊天里出现过的图片没有路径：请先问清文件在哪里。\n\
               用 search_catalog 查到转场的准确名称，然后用一个方案调用一次 compose_draft：写明 `name` 和 `aspect_ratio`；`visuals` 里每张图片写 \
               `image_url`、`duration` 3 和转场，不写开始时间，图片会依次排列；`audio` 里的音乐写 `fit` \"video\"，与最后一张图片同时结束；\
               `texts` 里的文字写 `position` \"bottom\"，`at` 和 `duration` 与对应的图片一致。\n\
               用 preview_draft 展示结果，并报告草稿所在的文件夹和没有完成的部分。",
    },
    Template {
        name: "product_ad_zh",
        title: "产品广告",
        description: "竖屏短广告：开场、卖点、行动号召。",
        arguments: &[
            must("product", "产品和目标人群"),
            must("media", "视频和图片的 URL 或路径，用逗号分隔"),
            may("music", "音乐的 URL 或路径", "无"),
            may("seconds", "时长（秒）", "20").of(LENGTHS),
        ],
        text: "制作一个 {seconds} 秒的竖屏广告草稿。\n产品：{product}\n视频和图片：{media}\n音乐：{music}\n\n\
               先写文案：开场（3 秒）、两三个卖点、行动号召（3 秒）。用 get_video_duration 查看各段视频的时长，用 search_catalog 查到快节奏转场和\
               文字入场动画的准确名称。然后用一个方案调用一次 compose_draft：写明 `name`，`aspect_ratio` 为 \"9:16\"；`visuals` 里的视频和图片写 \
               `duration` 和转场，总长 {seconds} 秒；`texts` 里每句文案写 `at`、`duration`、较大的 `font_size` 和入场动画，不要挡住产品；\
               `audio` 里的音乐写 `fit` \"video\"，有人声时把 `volume` 调低。\n\
               用 preview_draft 展示结果，并报告草稿所在的文件夹和文案。",
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
               用 get_video_duration 查看视频的时长、尺寸和旁白的时长；两者相差超过 1 秒时，先问是裁剪视频还是保留多出的部分。\
               然后用一个方案调用一次 compose_draft：`width` 和 `height` 与视频一致；`visuals` 里的视频把 `volume` 设为 0.2；\
               `audio` 里的旁白从 0 秒开始；`subtitles` 里用 `srt` 加字幕。没有字幕时，先要旁白文稿；只有知道每句的时间才生成 SRT，不要猜时间。\n\
               用 preview_draft 展示结果，并报告草稿所在的文件夹和回复里的提示。",
    },
    Template {
        name: "batch_zh",
        title: "用表格批量生成",
        description: "表格每行生成一个草稿；先做一个样片，确认后再批量生成。",
        arguments: &[
            must("table", "表格内容，或 CSV 文件的路径"),
            must("video", "每个视频的内容，写明用到哪些列"),
            may("aspect_ratio", "9:16、16:9 或 1:1", "9:16").of(CANVASES),
        ],
        text: "为表格的每一行生成一个 {aspect_ratio} 的草稿。\n表格：{table}\n每个视频：{video}\n\n\
               读不到表格时，请我把内容发过来。写一个方案，随行变化的内容用 `${column}` 占位（花括号里写列名），草稿名称也要各不相同，例如 `${title}`。\
               特效等名称先用 search_catalog 确认。\n\
               先用 compose_draft 做第一行（方案加上这一行的 `inputs`），用 preview_draft 给我看。我确认以后，调用 compose_batch：方案作为 `template`，\
               其余各行作为 `inputs`。它会立即返回 job_id：用 job_status 加 `wait_s` 查看，直到任务结束。\n\
               报告生成了多少个草稿、保存在哪里，以及失败的行和原因。",
    },
    Template {
        name: "check_draft_zh",
        title: "检查草稿",
        description: "找出空白、来不及看清的文字和缺失的素材，不做任何修改。",
        arguments: &[
            must("draft", "草稿的名称、编号或所在文件夹").of(Values::Drafts),
            may("purpose", "视频的用途", "未说明"),
        ],
        text: "检查这个草稿，说明哪些地方需要改进：{draft}\n用途：{purpose}\n\n\
               不要做任何修改。用 preview_draft 看时间线，用 inspect_draft 看各个片段：\
               画面之间的空白、比画面早结束或晚结束的声音、显示不到 1 秒或来不及看清的文字、互相遮挡的文字。草稿已经保存，或者只给了文件夹时，\
               用 validate_draft 检查磁盘上的文件和素材。\n\
               按严重程度列出问题，每个都写明时间和修改方法，然后问我要改哪些。",
    },
    Template {
        name: "video_from_theme_zh",
        title: "主题成片",
        description: "根据主题生成配音和画面，做成带字幕的视频；产生费用前先报价。",
        arguments: &[
            must("theme", "视频的主题和受众"),
            may("seconds", "时长（秒）", "30").of(LENGTHS),
            may("aspect_ratio", "9:16、16:9 或 1:1", "9:16").of(CANVASES),
            may("style", "画面风格", "由你决定，用一个短语概括"),
            may(
                "asset_type",
                "picture（文生图像）或 film（文生视频）",
                "picture",
            )
            .of(ASSETS),
            may("voice", "音色，写服务商的音色名称", "服务商的默认音色"),
            may("music", "音乐的 URL 或路径", "无"),
        ],
        text: "根据主题制作一个 {seconds} 秒、{aspect_ratio} 的视频。\n\
               主题：{theme}\n画面风格：{style}\n素材类型：{asset_type}\n音色：{voice}\n音乐：{music}\n\n\
               先写分镜 `scenes`，语言与主题一致：开场、每个分镜只讲一个要点、结尾行动号召，大约每 6 秒一个分镜。每个分镜是一个对象：`say` 是旁白，\
               写完整的句子，不写舞台提示；`show` 用一句话描述画面（主体、环境、光线、镜头）。只有画面需要比旁白更长时才写 `seconds`。\
               控制所有 `say` 的总字数：中文每秒约 4.2 个字，英文每秒约 2.3 个单词，念完正好 {seconds} 秒，不要超出。画面里不要出现文字、字母或标志：字幕会按旁白自动添加。\
               反复出现的人和物，每次用相同的词描述；风格写在 `visual_style` 里，会加到每个画面，`show` 里不用重复。\n\
               调用 generate_video：`theme`、`scenes`、`duration`、`aspect_ratio`、`visual_style`、`asset_type`，只有我指定了音色和音乐时才写 `voice` 和 `music`。\
               第一次写 `dry_run` true，不会发送任何请求。如果估价有费用或价格未知，把分镜和估价给我看，问我 `max_cost` 是多少，不要替我决定；\
               我答复后，用同样的分镜和我的 `max_cost` 再调用一次，不写 `dry_run`。没有费用时不用问，直接继续。\n\
               如果返回 `running`，用 job_status 加 `wait_s` 跟踪 job_id，直到任务结束。失败时报告错误并询问我：已经生成的素材会保留，`retry_uncertain` 可能重复扣费。\n\
               最后报告草稿所在的文件夹或链接、时长、花费、生成素材的表格（项目、服务商、费用）和提示。",
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

fn find(name: &str) -> Result<&'static Template> {
    PROMPTS.iter().find(|t| t.name == name).ok_or_else(|| {
        let near = nearest(name, PROMPTS.iter().map(|t| t.name))
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Error::not_found(format!("there is no prompt `{}`{near}", shortened(name)))
    })
}

/// The values of a prompt's argument.
pub(super) fn values(name: &str, argument: &str) -> Result<Values> {
    let template = find(name)?;
    let found = template.arguments.iter().find(|a| a.name == argument);
    found.map(|a| a.values).ok_or_else(|| {
        let argument = shortened(argument);
        Error::not_found(format!("the prompt `{name}` has no argument `{argument}`"))
    })
}

/// The message of a prompt; `shown` completes its own words, and not those of the arguments.
pub(super) fn get(
    name: &str,
    arguments: &Object,
    shown: &dyn Fn(&str) -> String,
) -> Result<GetPromptResult> {
    let template = find(name)?;
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
    let text = fill(&shown(template.text), &values);
    let messages = vec![PromptMessage::new_text(Role::User, text)];
    Ok(GetPromptResult::new(messages).with_description(template.description))
}

/// Fills in the values; braces within a value and after `$` are not replaced.
fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        if before.ends_with('$') {
            filled.extend(["{", name, "}"]);
            rest = after;
            continue;
        }
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
    use std::fmt::Write as _;

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
            let filled = text(&get(template.name, &all, &str::to_owned).expect("a prompt"));
            for argument in template.arguments {
                let value = format!("<{}>", argument.name);
                assert!(filled.contains(&value), "{}: {value}", template.name);
            }
            assert!(!template.text.contains("{}"), "{}", template.name);
            let kept = template.text.matches("${").count();
            assert_eq!(filled.matches('{').count(), kept, "{}", template.name);
            assert_eq!(
                template.text.matches('{').count() - kept,
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
        let filled = text(&get("slideshow", &given, &str::to_owned).expect("a prompt"));
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
            &str::to_owned,
        )
        .expect_err("problems");
        assert_eq!(
            error.message,
            "`musik`: `product_ad` has no such argument\n`product` is missing: The product and its audience"
        );
        let error = get("slide_show", &Object::new(), &str::to_owned).expect_err("unknown");
        assert_eq!(
            error.message,
            "there is no prompt `slide_show`; did you mean `slideshow`?"
        );
    }
    /// The page's list of prompts: arguments in English, the Chinese prompt with its title and description.
    fn documented() -> String {
        let mut text = String::new();
        for template in PROMPTS.iter().filter(|t| !t.name.ends_with("_zh")) {
            let chinese = find(&format!("{}_zh", template.name)).expect("Chinese");
            let _ = write!(
                text,
                "### `{}`: {}\n\n{}\n\n`{}`：{}。{}\n\n| argument | meaning | default |\n|---|---|---|\n",
                template.name,
                template.title,
                template.description,
                chinese.name,
                chinese.title,
                chinese.description
            );
            for argument in template.arguments {
                let default = argument.default.unwrap_or("**required**");
                let _ = writeln!(
                    text,
                    "| `{}` | {} | {default} |",
                    argument.name, argument.description
                );
            }
            text.push('\n');
        }
        text
    }

    #[test]
    fn the_page_about_prompts_lists_them_all() {
        crate::checks::check_section("docs/prompts.md", "prompts", &documented());
    }

    #[test]
    fn prompts_name_only_tools_that_clients_see() {
        for template in PROMPTS {
            for word in template
                .text
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            {
                let is_tool = [
                    "create_",
                    "compose_",
                    "generate_",
                    "search_",
                    "query_",
                    "validate_",
                    "preview_",
                ]
                .iter()
                .any(|verb| word.starts_with(verb));
                assert!(
                    !is_tool || crate::local::find(word).is_some(),
                    "{}: {word}",
                    template.name
                );
            }
        }
    }
}
