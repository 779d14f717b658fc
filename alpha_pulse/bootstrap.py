"""The composition root: settings in, running bot out. The only place that knows every concrete class."""
