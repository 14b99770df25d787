"""The network: backbone, classifier, features and decision rule."""
