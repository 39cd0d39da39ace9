-- The numbers of each series go from 1 up, each given once.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
SELECT series, count(*) AS documents, count(DISTINCT series_number) AS numbers, min(series_number) AS first, max(series_number) AS last
FROM billing.documents
GROUP BY series
HAVING count(*) <> count(DISTINCT series_number) OR min(series_number) <> 1 OR max(series_number) <> count(*)
ORDER BY 1
