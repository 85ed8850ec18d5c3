"""The inspector: one page on which a reader goes through a run of a compiled transformer, sublayer by sublayer.

before   a transformer, data of one task
after    HTML that needs no network: program, values against the oracle's, heads, neurons, slots, and the weights

    collect.py    all that the page says, from plan, layout and run: variables.py, doings.py, slots.py
    live.py       the weights as the page runs them, where they are small enough
    encoded.py    arrays as JSON
    inspection.py the page, from page/: HTML, CSS, and scripts that are put one after the other

Data flows from collect.py to the page and nowhere back. Read collect.py and page/main.js first.
"""
