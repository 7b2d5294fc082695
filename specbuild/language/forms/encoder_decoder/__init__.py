"""`encoder_decoder`: recurrent levels that read, and recurrent levels that start from their states and forecast."""

from specbuild.language.forms.encoder_decoder.form import encoder_decoder_form

__all__ = ["encoder_decoder_form"]
