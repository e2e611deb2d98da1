"""The network: ``two_stream`` puts together ``backbone``, ``spatial_attention``, ``fusion`` and ``encoder``."""
