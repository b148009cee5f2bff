//! A data set that is quickly made and quickly learned.

use std::{f32::consts::PI, fs, io, path::Path};

/// Stripes of 16 × 16 pixels in ten directions, at random phases and widths, in the IDX format of
/// MNIST.
pub fn write(folder: &Path) -> io::Result<()> {
    const SIDE: usize = 16;
    for (part, count) in [("train", 4000_usize), ("t10k", 500)] {
        let mut images = [[0, 0, 8, 3].as_slice(), &(count as u32).to_be_bytes()].concat();
        images.extend([SIDE as u32; 2].iter().flat_map(|side| side.to_be_bytes()));
        let mut labels = [[0, 0, 8, 1].as_slice(), &(count as u32).to_be_bytes()].concat();
        for index in 0..count {
            // Multiples of irrational numbers fill the unit interval evenly.
            let unit = |step: f32| (index as f32 * step).fract();
            let (phase, width) = (2.0 * PI * unit(0.618_034), 0.6 + 0.6 * unit(0.414_214));
            let (sin, cos) = (PI * (index % 10) as f32 / 10.0).sin_cos();
            for pixel in 0..SIDE * SIDE {
                let (row, column) = ((pixel / SIDE) as f32, (pixel % SIDE) as f32);
                let wave = ((row * cos + column * sin) * width + phase).sin();
                images.push((127.5 + 120.0 * wave) as u8);
            }
            labels.push((index % 10) as u8);
        }
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images)?;
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels)?;
    }
    Ok(())
}
