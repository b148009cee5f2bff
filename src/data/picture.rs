//! One image file: its size, and its pixels on a white background.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

/// Endings of the names of image files that are read, in lower case.
pub const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];
/// Largest height or width of a file.
const MAX_FILE_SIDE: u32 = 1 << 14;
/// Memory that one decoded image may take.
const MAX_MEMORY: u64 = 512 << 20;

/// Whether a file is an image that is read, to go by its name.
pub fn is_picture(file: &str) -> bool {
    file.rsplit_once('.')
        .is_some_and(|(_, ending)| EXTENSIONS.iter().any(|one| ending.eq_ignore_ascii_case(one)))
}

/// Height and width, to go by the beginning of the file.
pub fn size(bytes: &[u8]) -> Result<[usize; 2], String> {
    let (width, height) = decoder(bytes)?.dimensions();
    match (height as usize, width as usize) {
        (0, _) | (_, 0) => Err("no pixels".to_owned()),
        (height, width) => Ok([height, width]),
    }
}

/// RGB values, channel by channel, row by row: of the first frame if there are several, and with
/// white behind what is transparent.
pub fn planes(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let image = DynamicImage::from_decoder(decoder(bytes)?).map_err(|error| error.to_string())?;
    let image = image.into_rgba8();
    let plane = image.width() as usize * image.height() as usize;
    let mut planes = vec![0; 3 * plane];
    for (position, pixel) in image.pixels().enumerate() {
        let [colour @ .., alpha] = pixel.0;
        for (channel, value) in colour.into_iter().enumerate() {
            planes[channel * plane + position] = over_white(value, alpha);
        }
    }
    Ok(planes)
}

/// A value with white behind it.
pub fn over_white(value: u8, alpha: u8) -> u8 {
    let white = u32::from(u8::MAX);
    let sum = u32::from(value) * u32::from(alpha) + white * (white - u32::from(alpha));
    ((sum + white / 2) / white) as u8
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    if bytes.is_empty() {
        return Err("empty".to_owned());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_FILE_SIDE);
    limits.max_image_height = Some(MAX_FILE_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    match decoder.total_bytes() {
        0..=MAX_MEMORY => Ok(decoder),
        _ => Err("too large".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use image::{ColorType, GrayAlphaImage, ImageFormat, LumaA, Rgba, RgbaImage};

    use super::*;

    fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn names_of_pictures_end_in_any_case() {
        for name in ["a.png", "b.JPG", "c.Jpeg", "d.webp", "e.BMP", "f.gif", "g.tif", "h.TIFF"] {
            assert!(is_picture(name), "{name}");
        }
        for name in ["a.heic", "png", "a.png.txt", "b"] {
            assert!(!is_picture(name), "{name}");
        }
    }

    #[test]
    fn every_lossless_format_gives_the_same_pixels() {
        let image = RgbaImage::from_fn(3, 2, |x, y| Rgba([x as u8 * 100, y as u8 * 200, 7, 255]));
        let expected =
            [[0, 100, 200, 0, 100, 200], [0, 0, 0, 200, 200, 200], [7, 7, 7, 7, 7, 7]].concat();
        use ImageFormat::{Bmp, Gif, Png, Tiff, WebP};
        for format in [Png, WebP, Bmp, Gif, Tiff] {
            let bytes = encode(image.clone(), format);
            assert_eq!(size(&bytes).unwrap(), [2, 3], "{format:?}");
            assert_eq!(planes(&bytes).unwrap(), expected, "{format:?}");
        }
    }

    #[test]
    fn white_shows_through() {
        let image = RgbaImage::from_raw(2, 1, vec![9, 9, 9, 0, 100, 0, 200, 128]).unwrap();
        let clear = planes(&encode(image, ImageFormat::Png)).unwrap();
        assert_eq!(clear, [255, 177, 255, 127, 255, 227]);
        let grey = GrayAlphaImage::from_pixel(1, 1, LumaA([0, 51]));
        assert_eq!(planes(&encode(grey, ImageFormat::Png)).unwrap(), [204; 3]);
    }

    #[test]
    fn sixteen_bits_become_eight() {
        let image = image::ImageBuffer::<image::Luma<u16>, _>::from_vec(2, 1, vec![0, 65_535]);
        let image = DynamicImage::ImageLuma16(image.unwrap());
        assert_eq!(image.color(), ColorType::L16);
        let bytes = encode(image, ImageFormat::Png);
        assert_eq!(planes(&bytes).unwrap(), [0, 255, 0, 255, 0, 255]);
    }

    #[test]
    fn a_palette_is_looked_up() {
        // A GIF of two pixels: red, and the transparent one of its four colours.
        let mut bytes = b"GIF89a\x02\x00\x01\x00\x81\x00\x00".to_vec();
        bytes.extend([255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0]);
        bytes.extend(b"\x21\xf9\x04\x01\x00\x00\x01\x00\x2c\x00\x00\x00\x00\x02\x00\x01\x00\x00");
        // The codes clear, 0, 1, end in three bits each, the lowest first.
        bytes.extend(b"\x02\x02\x44\x0a\x00\x3b");
        assert_eq!(planes(&bytes).unwrap(), [255, 255, 0, 255, 0, 255]);
    }

    #[test]
    fn what_is_no_picture_says_why() {
        assert_eq!(size(b"").unwrap_err(), "empty");
        assert!(size(b"nonsense").unwrap_err().contains("format"));
        let bytes = encode(RgbaImage::new(9, 9), ImageFormat::Png);
        assert!(planes(&bytes[..bytes.len() - 20]).is_err());
    }
}
