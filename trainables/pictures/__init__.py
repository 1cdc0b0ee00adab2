"""Pictures and labels as a trial uses them: in memory, in a file or on a device."""
