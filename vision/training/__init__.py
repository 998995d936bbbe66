"""Training of the plate models: labelled pictures in, ONNX networks and their figures out.

    data → harvest → synth → bank ┐
    data → views ─────────────────┴→ scenes → detector, reader → export → evaluate → card

Nothing here is imported at run time; PyTorch and fonts come with the extra `training`.
"""
