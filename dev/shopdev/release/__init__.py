"""`make release`: the files, images and charts of one version. Without `--publish`, nothing leaves the machine."""
