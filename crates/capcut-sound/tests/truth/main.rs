//! What is found in sounds whose contents are known, because they are made here: voices by espeak-ng at known times, noise,
//! music, clicks and drums; encoded by FFmpeg.

#![expect(
    clippy::print_stdout,
    reason = "what was measured is shown by `--nocapture`"
)]

mod beats;
mod formats;
mod made;
mod script;
mod voices;
