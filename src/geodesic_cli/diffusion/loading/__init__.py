"""From a name, a folder or a file to a model: find it, read its parts, put them on a device, add adapters."""
