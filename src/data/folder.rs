//! Images in folders by split and class: `train/<class>/<name>.png|jpg|jpeg`.

use std::{collections::BTreeMap, io::Cursor};

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use rayon::prelude::*;

use super::{
    DataError, Split,
    decoded::{Decoded, Images, MAX_PIXELS, MAX_SIDE, index},
    source::Source,
};

/// Images decoded at a time, and the compressed bytes at which fewer are.
const GROUP: usize = 1024;
const GROUP_BYTES: usize = 64 << 20;
/// Memory that decoding one image may take.
const MAX_DECODER: u64 = 64 << 20;

/// Where an image stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    split: usize,
    class: String,
    file: String,
}

impl Place {
    /// The place that the last three components of a path promise.
    pub fn of(split: &str, class: &str, file: &str) -> Option<Self> {
        let (_, extension) = file.rsplit_once('.')?;
        let image = ["png", "jpg", "jpeg"].iter().any(|one| extension.eq_ignore_ascii_case(one));
        let split = index(Split::from_name(split).filter(|_| image)?);
        Some(Self { split, class: class.to_owned(), file: file.to_owned() })
    }
}

/// Gathers and decodes images, a group at a time in parallel.
pub struct Collector<'a> {
    source: &'a Source,
    /// Height and width of all images.
    size: Option<[usize; 2]>,
    places: Vec<Place>,
    /// RGB images, channel by channel.
    pixels: Vec<u8>,
    /// Whether every image so far is grey.
    grey: bool,
    waiting: Vec<(String, Vec<u8>)>,
    waiting_bytes: usize,
}

impl<'a> Collector<'a> {
    /// Nothing gathered yet.
    pub fn new(source: &'a Source) -> Self {
        Self {
            source,
            size: None,
            places: Vec::new(),
            pixels: Vec::new(),
            grey: true,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes an image in.
    pub fn add(&mut self, place: Place, name: &str, bytes: Vec<u8>) -> Result<(), DataError> {
        self.places.push(place);
        self.waiting_bytes += bytes.len();
        self.waiting.push((name.to_owned(), bytes));
        if self.waiting.len() >= GROUP || self.waiting_bytes >= GROUP_BYTES {
            self.decode_waiting()?;
        }
        Ok(())
    }

    fn decode_waiting(&mut self) -> Result<(), DataError> {
        let source = self.source;
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let Some((first, bytes)) = waiting.first() else { return Ok(()) };
        let size = match self.size {
            Some(size) => size,
            None => size_of(bytes).map_err(|problem| source.error(first, problem))?,
        };
        self.size = Some(size);
        let image = 3 * size[0] * size[1];
        let start = self.pixels.len();
        let end = start + waiting.len() * image;
        if end as u64 > MAX_PIXELS {
            return Err(source.error(first, format!("more than {MAX_PIXELS} bytes of pixels")));
        }
        self.pixels.resize(end, 0);
        let outcomes: Vec<Result<bool, String>> = waiting
            .par_iter()
            .zip(self.pixels[start..].par_chunks_mut(image))
            .map(|((_, bytes), slot)| decode_into(bytes, size, slot))
            .collect();
        for ((name, _), outcome) in waiting.iter().zip(outcomes) {
            self.grey &= outcome.map_err(|problem| source.error(name, problem))?;
        }
        Ok(())
    }

    /// Everything taken in. The result does not depend on the order of the files.
    pub fn finish(mut self) -> Result<Decoded, DataError> {
        self.decode_waiting()?;
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        order.sort_by(|&a, &b| self.places[a].cmp(&self.places[b]));
        if let Some(pair) =
            order.windows(2).find(|pair| self.places[pair[0]] == self.places[pair[1]])
        {
            let Place { class, file, .. } = &self.places[pair[0]];
            return Err(self
                .source
                .error(&format!("{class}/{file}"), "there are two of this name"));
        }
        let mut classes: BTreeMap<String, u16> =
            self.places.iter().map(|place| (place.class.clone(), 0)).collect();
        for (label, slot) in classes.values_mut().enumerate() {
            *slot = u16::try_from(label).map_err(|_| {
                self.source.error("class folders", format!("more than {} classes", u16::MAX))
            })?;
        }
        let [height, width] = self.size.unwrap_or_default();
        let plane = height * width;
        let mut splits: [Images; 3] = Default::default();
        let kept = if self.grey { plane } else { 3 * plane };
        for index in order {
            let Place { split, class, .. } = &self.places[index];
            let images = &mut splits[*split];
            images.labels.push(classes[class]);
            let start = 3 * plane * index;
            images.pixels.extend_from_slice(&self.pixels[start..start + kept]);
        }
        let shape = [kept / plane.max(1), height, width];
        Ok(Decoded { classes: classes.into_keys().collect(), shape, splits })
    }
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_DECODER);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| error.to_string())
}

fn size_of(bytes: &[u8]) -> Result<[usize; 2], String> {
    let (width, height) = decoder(bytes)?.dimensions();
    Ok([height as usize, width as usize])
}

/// Decodes into RGB planes; says whether the image is grey.
fn decode_into(bytes: &[u8], size: [usize; 2], slot: &mut [u8]) -> Result<bool, String> {
    let decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let [rows, columns] = size;
    if [height as usize, width as usize] != size {
        return Err(format!(
            "{width}×{height} pixels, but the first image has {columns}×{rows}; resize the images \
             to one size"
        ));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    let colour = image.color();
    if colour.has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel[3] != u8::MAX) {
        return Err("has transparent pixels; flatten the image onto a background".to_owned());
    }
    let plane = rows * columns;
    for (position, pixel) in image.into_rgb8().pixels().enumerate() {
        for (channel, &value) in pixel.0.iter().enumerate() {
            slot[channel * plane + position] = value;
        }
    }
    Ok(!colour.has_color())
}
