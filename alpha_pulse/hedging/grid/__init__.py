"""The grid bot: hedge curve, ladder, plan, and the loop around them."""
