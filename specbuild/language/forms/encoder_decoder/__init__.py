"""`encoder_decoder`: an encoder, and a decoder that starts from the states of the encoder's levels.

Every recurrent node of the encoder is a level, 1 … L in the order they run, and so is every one of the decoder,
1 … M. Level l of the encoder reads x₁ˡ … x_Tˡ from a state of zeros, level m of the decoder z₁ᵐ … z_Kᵐ, K being the
horizon:

    sₜˡ = cellˡ(xₜˡ, sₜ₋₁ˡ)      s₀ˡ = 0
    dₖᵐ = cellᵐ(zₖᵐ, dₖ₋₁ᵐ)      d₀ᵐ = s_T^π(m)

Which level of the encoder π(m) is, `states` says:

    mirrored              π(m) = L + 1 − m: what read last forecasts first. M = L.
    in_order              π(m) = m. M = L.
    {dec1: enc1, dec2: none}
                          by id, each level of the encoder once at most; none is d₀ᵐ = 0.
    none                  d₀ᵐ is what `initial_state` of level m names; zero where it is left out.

A level of the encoder in both directions ends in a forward and a backward state. A level of the decoder in both
directions takes them as they are; one of a single direction takes them joined as the outputs are (`merge_mode`).

What the nodes read that stand first in the decoder, zₖ, `feed` says:

    none                  nothing: the first level is dₖ = cell(dₖ₋₁), a cell with `use_input: false`
    last                  zₖ = the last output of the encoder, for each k
    last_frame            zₖ = the last frame that the encoder read, for each k
    feedback              z₁ = the last frame that the encoder read, zₖ = what the head gave in step k − 1
    {repeat: id}          zₖ = one frame of another node, for each k
    id                    zₖ = frame k of a sequence, whose length is K

The head reads the end of the decoder or, with `head_input: all`, the outputs of all its levels joined along channels.

It comes to plain nodes alone; with `feed: feedback` decoder and head are the body of an autoregressive node. With
`feed: none` and `states: mirrored` it is the forecaster of Shi et al. 2015 and 2017 (arXiv 1506.04214, 1706.03458).
"""

from specbuild.language.forms.encoder_decoder.form import EncoderDecoderForm

__all__ = ["EncoderDecoderForm"]
