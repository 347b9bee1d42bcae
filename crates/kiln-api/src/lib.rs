//! The HTTP front end: one request pipeline, AWS JSON 1.1, the Kiln API.
