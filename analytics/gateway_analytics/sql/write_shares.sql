-- What load balancers added to a day's calls; in this order it takes the least space.
COPY (
    FROM (
{made}
    )
    ORDER BY host, instance, endpoint, provider, request_model, response_model, http_status, api_key_id, received_at
) TO {path} ({options})
