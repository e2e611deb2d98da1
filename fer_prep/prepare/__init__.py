"""Raw sample → registered, framed RGB-D in a prepared folder."""
