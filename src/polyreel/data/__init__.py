"""What is known about clips, at rest: clips, captions and features, in files that other tools open. No torch here."""
