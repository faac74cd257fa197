//! The backend on the model.

mod bench;
mod book;
mod codes;
mod ending;
mod judge;
mod pipes;
mod random;
mod scripted;
mod shortage;
mod steps;
mod world;
