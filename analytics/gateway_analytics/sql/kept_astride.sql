-- Whether some kept sum has prompts on either side of a length.
SELECT true FROM kept WHERE {astride} LIMIT 1
