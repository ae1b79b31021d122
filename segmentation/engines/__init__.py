"""What finds objects: the registry, and the engines that come with the package."""
