//! The arguments of a program, with values in place of `{text_file}`, `{out}` and others.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::providers::section::Makes;
use crate::providers::service::ServiceSettings;
use crate::providers::wanted::Wanted;

/// The placeholders, and what they are for if not for everything.
const PLACEHOLDERS: [(&str, &str); 14] = [
    ("text", "speech, pictures, films and texts"),
    ("text_file", "speech, pictures, films and texts"),
    ("prompt_file", "speech, pictures, films and texts"),
    ("out", ""),
    ("model", ""),
    ("voice", "speech"),
    ("speed", "speech"),
    ("width", "pictures and films"),
    ("height", "pictures and films"),
    ("seed", "pictures and films"),
    ("seconds", "films and transcripts"),
    ("language", "transcripts"),
    ("file", "transcripts"),
    ("folder", ""),
];

/// The arguments of one run.
#[derive(Debug)]
pub(super) struct Arguments {
    pub program: String,
    pub list: Vec<String>,
    /// What it reads, if it is given any words.
    pub text: String,
    /// Where the text must be written.
    pub text_file: Option<PathBuf>,
    /// The file that it writes; without it its result is what it prints.
    pub out: Option<PathBuf>,
    /// Whether it reads the text from its standard input.
    pub stdin: bool,
}

impl Arguments {
    /// # Errors
    /// If an argument has a placeholder that is not for what is wanted, or the text cannot be an argument.
    pub(super) fn new(settings: &ServiceSettings, wanted: &Wanted, folder: &Path) -> Result<Self> {
        let name = &settings.name;
        let mut command = settings.section.command.iter();
        let program = command.next().cloned().unwrap_or_default();
        let is_path = program.contains(['/', '\\']);
        if program.trim().is_empty() || (is_path && !Path::new(&program).is_absolute()) {
            return Err(Error::invalid(format!(
                "provider `{name}`: `command` begins with \"{program}\", which is not a program"
            ))
            .hint("name a program that is in PATH, or its whole path")
            .lasting());
        }
        let text = text_of(wanted);
        let text_file = folder.join("text.txt");
        let out = folder.join(format!("out.{}", ending(settings, wanted.makes())));
        let value = |placeholder: &str| -> Option<String> {
            let path = |path: &Path| Some(path.to_string_lossy().into_owned());
            match (placeholder, wanted) {
                ("out", _) => path(&out),
                ("folder", _) => path(folder),
                ("model", _) => Some(settings.section.model.clone()),
                (
                    _,
                    Wanted::Transcript {
                        file,
                        language,
                        seconds,
                        ..
                    },
                ) => match placeholder {
                    "file" => path(file),
                    // Programs know this word for a language that they find out.
                    "language" if language.is_empty() => Some("auto".to_owned()),
                    "language" => Some(language.clone()),
                    "seconds" => Some(number(*seconds)),
                    _ => None,
                },
                ("text", _) => Some(text.clone()),
                ("text_file" | "prompt_file", _) => path(&text_file),
                (_, Wanted::Speech { voice, speed, .. }) => match placeholder {
                    "voice" => Some(voice.clone()),
                    "speed" => Some(number(*speed)),
                    _ => None,
                },
                (
                    _,
                    Wanted::Picture {
                        width,
                        height,
                        seed,
                        ..
                    }
                    | Wanted::Film {
                        width,
                        height,
                        seed,
                        ..
                    },
                ) if ["width", "height", "seed"].contains(&placeholder) => {
                    Some(match placeholder {
                        "width" => width.to_string(),
                        "height" => height.to_string(),
                        _ => seed
                            .unwrap_or_else(|| u64::from(fastrand::u32(..)))
                            .to_string(),
                    })
                }
                ("seconds", Wanted::Film { seconds, .. }) => Some(number(*seconds)),
                _ => None,
            }
        };
        let mut list = Vec::new();
        let mut used = Vec::new();
        for argument in command {
            let filled = fill(argument, &mut |placeholder| {
                used.push(placeholder.to_owned());
                value(placeholder).ok_or_else(|| {
                    let (_, makes) = PLACEHOLDERS
                        .iter()
                        .find(|(own, _)| *own == placeholder)
                        .unwrap_or(&("", ""));
                    Error::invalid(format!(
                        "provider `{name}`: `command` has {{{placeholder}}}, which is for {makes}, but `makes` is \"{}\"",
                        wanted.makes().name()
                    ))
                    .lasting()
                })
            })?;
            // Words that begin with a dash would be an option of the program.
            let is_words = argument == "{text}" && filled.starts_with('-');
            list.push(if is_words {
                format!(" {filled}")
            } else {
                filled
            });
        }
        if list.iter().any(|argument| argument.contains('\0')) {
            return Err(Error::invalid(format!(
                "provider `{name}`: the text contains the character U+0000, which no argument can have"
            )));
        }
        let uses = |placeholder: &str| used.iter().any(|own| own == placeholder);
        let by_file = uses("text_file") || uses("prompt_file");
        Ok(Self {
            stdin: !by_file && !uses("text") && wanted.makes() != Makes::Transcript,
            text_file: by_file.then_some(text_file),
            out: uses("out").then_some(out),
            program,
            list,
            text,
        })
    }

    /// The program's name, for messages.
    pub(super) fn name(&self) -> String {
        let name = Path::new(&self.program).file_name();
        name.map_or_else(
            || self.program.clone(),
            |name| name.to_string_lossy().into_owned(),
        )
    }
}

/// The words for a program.
fn text_of(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Text {
            instructions,
            input,
        } if !instructions.is_empty() => format!("{instructions}\n\n{input}"),
        wanted => wanted.text().to_owned(),
    }
}

/// The ending of the file that is written.
fn ending(settings: &ServiceSettings, makes: Makes) -> String {
    let option = settings.section.options.get("format");
    let option = option
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let is_fit =
        (1..=8).contains(&option.len()) && option.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_fit {
        return option.to_ascii_lowercase();
    }
    match makes {
        Makes::Speech => "wav",
        Makes::Picture => "png",
        Makes::Film => "mp4",
        Makes::Transcript => "json",
        Makes::Text => "txt",
    }
    .to_owned()
}

/// A number without needless digits.
fn number(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

/// Replaces placeholders, each once: what a value contains is not replaced. Other text in braces stays as it is.
fn fill(argument: &str, value: &mut impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let inside = after.split_once('}').filter(|(name, _)| {
            PLACEHOLDERS
                .iter()
                .any(|(placeholder, _)| placeholder == name)
        });
        match inside {
            Some((name, after)) => {
                filled.push_str(&value(name)?);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::section::ProviderSection;

    fn settings(rest: &str) -> ServiceSettings {
        let section: ProviderSection =
            toml::from_str(&format!("kind = \"command\"\n{rest}")).unwrap();
        ServiceSettings {
            name: "p".to_owned(),
            section,
            key: None,
            app_id: None,
        }
    }

    fn speech_of(text: &str) -> Wanted {
        Wanted::Speech {
            text: text.to_owned(),
            voice: "en-gb".to_owned(),
            speed: 1.25,
        }
    }

    fn arguments(rest: &str, wanted: &Wanted) -> Result<Arguments> {
        Arguments::new(&settings(rest), wanted, Path::new("/tmp/folder"))
    }

    #[test]
    fn placeholders_are_replaced_once() {
        let made = arguments(
            "makes = \"speech\"\ncommand = [\"say\", \"-v\", \"{voice}\", \"--rate={speed}x\", \"{text}\", \"-o{out}\", \"{\\\"a\\\": {b}}\", \"{unknown}\", \"{\"]",
            &speech_of("say {out} and {voice}"),
        )
        .unwrap();
        assert_eq!(
            made.list,
            [
                "-v",
                "en-gb",
                "--rate=1.25x",
                "say {out} and {voice}",
                "-o/tmp/folder/out.wav",
                "{\"a\": {b}}",
                "{unknown}",
                "{"
            ]
        );
        assert_eq!(made.out.unwrap(), Path::new("/tmp/folder/out.wav"));
        assert!(made.text_file.is_none() && !made.stdin);
    }

    #[test]
    fn the_text_comes_by_argument_file_or_input() {
        let by = |argument: &str| {
            let made = arguments(
                &format!("makes = \"speech\"\ncommand = [\"say\", \"{argument}\"]"),
                &speech_of("Hi"),
            )
            .unwrap();
            (made.text_file.is_some(), made.stdin)
        };
        assert_eq!(by("{text}"), (false, false));
        assert_eq!(by("{text_file}"), (true, false));
        assert_eq!(by("{prompt_file}"), (true, false));
        assert_eq!(by("-"), (false, true));
        let made = arguments(
            "makes = \"speech\"\ncommand = [\"say\", \"{text}\"]",
            &speech_of("--help"),
        )
        .unwrap();
        assert_eq!(made.list, [" --help"]);
        assert!(
            arguments(
                "makes = \"speech\"\ncommand = [\"say\", \"{text}\"]",
                &speech_of("a\0b")
            )
            .is_err()
        );
        let wanted = Wanted::Text {
            instructions: "Write.".to_owned(),
            input: "A watch".to_owned(),
        };
        let made = arguments("makes = \"text\"\ncommand = [\"llm\"]", &wanted).unwrap();
        assert_eq!(
            (made.text.as_str(), made.stdin),
            ("Write.\n\nA watch", true)
        );
    }

    #[test]
    fn pictures_films_and_transcripts_have_their_values() {
        let film = Wanted::Film {
            prompt: "a watch".to_owned(),
            width: 1080,
            height: 1920,
            seconds: 5.25,
            seed: Some(u64::MAX),
            take: 0,
        };
        let made = arguments("makes = \"film\"\noptions = { format = \"WEBM\" }\ncommand = [\"make\", \"{width}x{height}\", \"{seconds}\", \"{seed}\", \"{out}\"]", &film).unwrap();
        assert_eq!(
            made.list,
            [
                "1080x1920",
                "5.25",
                "18446744073709551615",
                "/tmp/folder/out.webm"
            ]
        );
        let picture = Wanted::Picture {
            prompt: "a watch".to_owned(),
            width: 2,
            height: 3,
            seed: None,
            take: 0,
        };
        let made = arguments(
            "makes = \"picture\"\ncommand = [\"make\", \"{seed}\"]",
            &picture,
        )
        .unwrap();
        assert!(made.list[0].parse::<u32>().is_ok());
        let transcript = Wanted::Transcript {
            sha256: String::new(),
            file: "/m/voice.wav".into(),
            seconds: 3.0,
            language: String::new(),
        };
        let made = arguments("makes = \"transcript\"\ncommand = [\"whisper-cli\", \"-l\", \"{language}\", \"-f\", \"{file}\", \"-of\", \"{out}\"]", &transcript).unwrap();
        assert_eq!(
            made.list,
            [
                "-l",
                "auto",
                "-f",
                "/m/voice.wav",
                "-of",
                "/tmp/folder/out.json"
            ]
        );
        assert!(!made.stdin);
        let error = arguments(
            "makes = \"transcript\"\ncommand = [\"x\", \"{voice}\"]",
            &transcript,
        )
        .unwrap_err();
        assert!(
            error.message.contains("{voice}, which is for speech"),
            "{error}"
        );
        assert!(
            arguments(
                "makes = \"picture\"\ncommand = [\"x\", \"{seconds}\"]",
                &picture
            )
            .is_err()
        );
    }

    #[test]
    fn programs_are_named_by_path_or_whole_path() {
        assert!(
            arguments(
                "makes = \"speech\"\ncommand = [\"./say\"]",
                &speech_of("Hi")
            )
            .is_err()
        );
        assert!(arguments("makes = \"speech\"\ncommand = [\" \"]", &speech_of("Hi")).is_err());
        let made = arguments("makes = \"speech\"\noptions = { format = \"../x\" }\ncommand = [\"/opt/say\", \"{out}\"]", &speech_of("Hi")).unwrap();
        assert_eq!(
            (made.name().as_str(), made.list[0].as_str()),
            ("say", "/tmp/folder/out.wav")
        );
    }
}
