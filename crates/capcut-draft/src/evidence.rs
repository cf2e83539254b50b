//! What is known about each property: where its form in documents comes from, in which versions,
//! its Chinese names and other words, and an example.

use crate::property::Property;

/// Where the form of a property in documents comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ground {
    /// A document that an app saved has its keys, with any value.
    App,
    /// Public libraries that write it.
    Library,
    /// Descriptions by people who checked it in the app.
    Report,
}

impl Ground {
    /// In a few words.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::App => "app-saved file",
            Self::Library => "library",
            Self::Report => "report",
        }
    }
}

/// What is known about a property.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Evidence {
    /// The property's name.
    pub name: &'static str,
    /// Its Chinese names and other words for it, separated by `|`.
    pub words: &'static str,
    pub ground: Ground,
    /// The versions of the apps whose documents have it.
    pub versions: &'static str,
    /// A value, as JSON.
    pub example: &'static str,
}

const fn row(
    name: &'static str,
    words: &'static str,
    ground: Ground,
    versions: &'static str,
    example: &'static str,
) -> Evidence {
    Evidence {
        name,
        words,
        ground,
        versions,
        example,
    }
}

use Ground::{App, Library, Report};

/// Every version that drafts are written for.
const ALL: &str = "all";

/// A row for each property, in any order.
#[rustfmt::skip]
static EVIDENCE: &[Evidence] = &[
    row("volume", "音量|声音大小|loud|quiet|mute", App, ALL, "0.5"),
    row("volume_curve", "音量曲线|音量变化|duck|automation", App, ALL, "[{\"at\": 0, \"value\": 1}, {\"at\": 1, \"value\": 0.2}]"),
    row("mute", "静音|关闭原声|silent", App, ALL, "true"),
    row("loop_animation", "循环动画|文字循环", Library, ALL, "\"Wave\""),
    row("gradient", "渐变|渐变色", Report, "", "\"red\""),
    row("group", "编组|组合|together", App, ALL, "\"intro\""),
    row("speed", "速度|变速|倍速|slow motion|fast", App, ALL, "2"),
    row("keep_pitch", "保持音调|变调|pitch", App, ALL, "false"),
    row("speed_curve", "曲线变速|变速曲线|speed ramp", Report, ALL, "\"montage\""),
    row("reverse", "倒放|backwards", Report, "", "true"),
    row("stabilize", "防抖|steady", Report, "", "true"),
    row("remove_background", "抠像|智能抠图", Report, "", "true"),
    row("visible", "可见|显示|隐藏", App, ALL, "false"),
    row("opacity", "不透明度|透明度|transparency|transparent", App, ALL, "0.5"),
    row("scale", "缩放|大小|size|zoom", App, ALL, "1.2"),
    row("scale_x", "宽度缩放|横向缩放", App, ALL, "0.5"),
    row("scale_y", "高度缩放|纵向缩放", App, ALL, "0.5"),
    row("position_x", "横向位置|水平位置|位置", App, ALL, "0.5"),
    row("position_y", "纵向位置|垂直位置|位置", App, ALL, "-0.8"),
    row("rotation", "旋转|角度|tilt", App, ALL, "45"),
    row("flip_horizontal", "水平翻转|左右镜像|mirror", App, ALL, "true"),
    row("flip_vertical", "垂直翻转|上下镜像", App, ALL, "true"),
    row("crop", "裁剪|画面裁剪", App, ALL, "{\"left\": 0.1, \"right\": 0.1}"),
    row("fit", "适应|铺满|填充|cover|contain", Report, ALL, "\"cover\""),
    row("box", "区域|方框", Report, ALL, "{\"x\": 0, \"y\": 0, \"width\": 540, \"height\": 540}"),
    row("blend_mode", "混合模式|multiply|screen", Library, ALL, "\"Multiply\""),
    row("filter", "滤镜|调色|warm|retro|look", Library, ALL, "\"_1980\""),
    row("filter_intensity", "滤镜强度", Library, ALL, "80"),
    row("brightness", "亮度|brighter|darker", Library, ALL, "0.2"),
    row("contrast", "对比度", Library, ALL, "0.2"),
    row("saturation", "饱和度|colourful|black and white", Library, ALL, "-0.3"),
    row("temperature", "色温|warm|cool", Library, ALL, "0.3"),
    row("tint", "色调", Library, ALL, "0.1"),
    row("highlights", "高光", Library, ALL, "-0.2"),
    row("shadows", "阴影|暗部", Library, ALL, "0.2"),
    row("whites", "白色", Library, ALL, "0.1"),
    row("blacks", "黑色", Library, ALL, "-0.1"),
    row("exposure", "光感|曝光", Library, ALL, "0.2"),
    row("sharpen", "锐化", Library, ALL, "0.3"),
    row("clarity", "清晰", Library, ALL, "0.3"),
    row("grain", "颗粒|噪点", Library, ALL, "0.3"),
    row("faded", "褪色|vintage", Library, ALL, "0.3"),
    row("vignette", "暗角", Library, ALL, "0.4"),
    row("chroma_key", "色度抠图|绿幕|green screen", Library, ALL, "\"#00FF00\""),
    row("chroma_strength", "抠图强度", Library, ALL, "30"),
    row("chroma_shadow", "抠图阴影", Library, ALL, "10"),
    row("chroma_edge", "抠图边缘", Library, ALL, "10"),
    row("chroma_spill", "去溢色", Library, ALL, "10"),
    row("freeze_frame", "定格|freeze frame", Report, ALL, "true"),
    row("background_image", "背景图片|画布背景", Report, "", "\"/pictures/wall.jpg\""),
    row("motion", "运镜|运动|ken burns|movement|缓慢推近", Report, ALL, "\"ken_burns\""),
    row("motion_strength", "运动强度", Report, ALL, "60"),
    row("fade_in", "淡入|音频淡入", App, ALL, "1"),
    row("fade_out", "淡出|音频淡出", App, ALL, "2"),
    row("transition", "转场", App, ALL, "\"Mix\""),
    row("transition_duration", "转场时长", App, ALL, "0.8"),
    row("background_blur", "背景模糊|模糊背景|blurred background", Library, ALL, "2"),
    row("intro_animation", "入场动画|入场|appear|pop in", App, ALL, "\"Fade_In\""),
    row("intro_duration", "入场时长", App, ALL, "0.5"),
    row("outro_animation", "出场动画|出场|disappear", App, ALL, "\"Fade_Out\""),
    row("outro_duration", "出场时长", App, ALL, "0.5"),
    row("combo_animation", "组合动画", Library, ALL, "\"Swing\""),
    row("combo_duration", "组合动画时长", Library, ALL, "2"),
    row("effect_type", "特效|音效|变声", App, ALL, "\"Blur\""),
    row("effect_params", "特效参数", App, ALL, "[50]"),
    row("effect_keyframes", "特效关键帧", Report, "", "50"),
    row("effect_category", "特效类别", Library, ALL, "\"scene\""),
    row("sticker_id", "贴纸", Library, ALL, "\"7132097333274250789\""),
    row("strength", "强度|特效强度|滤镜强度", Library, ALL, "80"),
    row("mask_type", "蒙版|遮罩", Library, ALL, "\"Circle\""),
    row("mask_center_x", "蒙版中心", Library, ALL, "100"),
    row("mask_center_y", "蒙版中心", Library, ALL, "-100"),
    row("mask_width", "蒙版宽度", Library, ALL, "0.4"),
    row("mask_height", "蒙版高度|蒙版大小", Library, ALL, "0.6"),
    row("mask_rotation", "蒙版旋转", Library, ALL, "30"),
    row("mask_feather", "羽化|蒙版羽化|soft edge", Library, ALL, "20"),
    row("mask_round_corner", "蒙版圆角", Library, ALL, "30"),
    row("mask_expansion", "蒙版扩展", Report, "", "10"),
    row("mask_invert", "反转蒙版|蒙版反转", Library, ALL, "true"),
    row("text", "文字|文本|内容", App, ALL, "\"Hello\""),
    row("font", "字体", App, ALL, "\"Poppins_Bold\""),
    row("font_size", "字号|字体大小|文字大小", App, ALL, "12"),
    row("font_color", "字体颜色|文字颜色", App, ALL, "\"#FFCC00\""),
    row("bold", "加粗|粗体", Library, ALL, "true"),
    row("italic", "斜体", Library, ALL, "true"),
    row("underline", "下划线", Library, ALL, "true"),
    row("alignment", "对齐|对齐方式", App, ALL, "\"left\""),
    row("vertical", "竖排|竖排文字", App, ALL, "true"),
    row("letter_spacing", "字间距", App, ALL, "0.1"),
    row("line_spacing", "行间距|行距", App, ALL, "0.1"),
    row("border_width", "描边|描边粗细|描边宽度|stroke", App, ALL, "40"),
    row("border_color", "描边颜色|轮廓颜色", App, ALL, "\"#000000\""),
    row("border_alpha", "描边不透明度", App, ALL, "1"),
    row("background_color", "文字背景|背景颜色", App, ALL, "\"#000000\""),
    row("background_alpha", "文字背景不透明度", App, ALL, "0.6"),
    row("background_style", "文字背景样式", App, ALL, "1"),
    row("background_round_radius", "文字背景圆角", App, ALL, "0.3"),
    row("background_width", "文字背景宽度", App, ALL, "0.2"),
    row("background_height", "文字背景高度", App, ALL, "0.2"),
    row("background_horizontal_offset", "文字背景水平偏移", App, ALL, "0.5"),
    row("background_vertical_offset", "文字背景垂直偏移", App, ALL, "0.5"),
    row("fixed_width", "文本框宽度", App, ALL, "0.8"),
    row("fixed_height", "文本框高度", App, ALL, "0.3"),
    row("bubble_effect_id", "气泡|文字气泡", Library, ALL, "\"361595\""),
    row("bubble_resource_id", "气泡资源", Library, ALL, "\"6742029398926430728\""),
    row("effect_effect_id", "花字", Library, ALL, "\"7296357486490144036\""),
    row("text_styles", "文字样式|局部样式", App, ALL, "[{\"start\": 0, \"end\": 5, \"style\": {\"color\": \"#FF0000\"}}]"),
    row("shadow_enabled", "阴影|文字阴影", App, ALL, "true"),
    row("shadow_color", "阴影颜色", App, ALL, "\"#000000\""),
    row("shadow_alpha", "阴影不透明度", App, ALL, "0.8"),
    row("shadow_angle", "阴影角度", App, ALL, "-45"),
    row("shadow_distance", "阴影距离", App, ALL, "8"),
    row("shadow_smoothing", "阴影模糊", App, ALL, "0.3"),
    row("position", "位置|九宫格|corner|place", App, ALL, "\"bottom_right\""),
    row("start", "开始|开始时间|起始", App, ALL, "3"),
    row("duration", "时长|持续时间|长度", App, ALL, "5"),
    row("source_start", "素材起点|裁剪起点|截取", App, ALL, "2"),
    row("media", "素材|媒体|文件", App, ALL, "\"/videos/clip.mp4\""),
    row("track_name", "轨道|轨道名", App, ALL, "\"overlay\""),
    row("relative_index", "层级|图层顺序|z-index|front", App, ALL, "1"),
];

impl Property {
    /// What is known about it.
    #[must_use]
    pub fn evidence(&self) -> Option<&'static Evidence> {
        EVIDENCE.iter().find(|row| row.name == self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::PROPERTIES;

    #[test]
    fn every_property_has_a_row_with_an_example_in_json() {
        for property in PROPERTIES {
            let row = property.evidence();
            let row = row.unwrap_or_else(|| panic!("no row for `{}` in EVIDENCE", property.name));
            assert!(!row.words.is_empty(), "{}", row.name);
            let is_offered = property.only_in_app().is_none();
            assert_eq!(is_offered, !row.versions.is_empty(), "{}", row.name);
            let example: Result<serde_json::Value, _> = serde_json::from_str(row.example);
            assert!(example.is_ok(), "{}: {}", row.name, row.example);
        }
        for row in EVIDENCE {
            let known = PROPERTIES.iter().any(|property| property.name == row.name);
            assert!(known, "`{}` is not a property", row.name);
        }
        assert_eq!(EVIDENCE.len(), PROPERTIES.len(), "a row is there twice");
        let in_app = |property: &&Property| property.only_in_app().is_some();
        assert!(PROPERTIES.iter().filter(in_app).count() <= 8);
    }
}
