//! Words to model: reads a config file into what the core, the checks and the planes are told.
