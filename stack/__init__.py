"""The composition root of one machine: settings, embedded services, supervisor and command line."""
