"""The candle store: what was recorded of a market, in Parquet files of a month each."""
