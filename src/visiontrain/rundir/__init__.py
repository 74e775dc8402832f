"""What runs leave on disk, read: folders, records, events, histories."""
